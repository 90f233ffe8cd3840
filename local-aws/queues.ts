/** CreateQueue for a queue whose dead letters go to `<name>-dead`. */
export function createQueueCommand(
  name: string,
  { visibilitySeconds = 60, maxDeliveries = 3 }: { visibilitySeconds?: number; maxDeliveries?: number },
): object {
  return {
    QueueName: name,
    Attributes: {
      VisibilityTimeout: String(visibilitySeconds),
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: `arn:aws:sqs:us-east-1:000000000000:${name}-dead`,
        maxReceiveCount: maxDeliveries,
      }),
    },
  };
}
