import { describe, expect, it } from 'vitest';
import { awsError } from '#adapters/aws-errors.ts';

const call = { resource: 's3://photos/a.jpg', action: 's3:GetObject' };

describe('an error of AWS', () => {
  it.each([
    [{ name: 'NoSuchKey' }, 'object-missing', false],
    [{ name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }, 'object-forbidden', false],
    [{ name: 'NoSuchBucket', $metadata: { httpStatusCode: 404 } }, 'service-misconfigured', false],
    [{ name: 'PermanentRedirect', $metadata: { httpStatusCode: 301 } }, 'service-misconfigured', false],
    [{ name: 'ExpiredToken', $metadata: { httpStatusCode: 400 } }, 'credentials-invalid', false],
    [{ name: 'CredentialsProviderError' }, 'credentials-invalid', false],
    [{ name: 'SlowDown', $metadata: { httpStatusCode: 503 } }, 'store-unavailable', true],
    [{ name: 'ECONNRESET' }, 'store-unavailable', true],
  ])('%o is told as %s', (shape, code, retryable) => {
    const error = awsError(Object.assign(new Error('x'), shape), call, 'store-unavailable');
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toContain('s3://photos/a.jpg');
  });

  it.each(['SignatureDoesNotMatch', 'InvalidSignatureException'])(
    'named %s is a wrong region where SQS says so, else bad credentials',
    (name) => {
      const queue = { resource: 'https://sqs.eu-west-1.amazonaws.com/1/jobs', action: 'sqs:SendMessage' };
      const told = (message: string) => awsError({ name, message }, queue, 'queue-unavailable');
      expect(told("Credential should be scoped to a valid region, not 'us-east-1'. ")).toMatchObject({
        code: 'service-misconfigured',
        retryable: false,
        message: expect.stringMatching(/eu-west-1.*not 'us-east-1'.*AWS_REGION/),
      });
      expect(told('The request signature we calculated does not match')).toMatchObject({
        code: 'credentials-invalid',
        retryable: false,
      });
    },
  );

  it('names what is denied where that is another permission than the one that was asked for', () => {
    const key = 'arn:aws:kms:eu-west-1:1:key/2';
    const message = `User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: kms:Decrypt on resource: ${key} because no identity-based policy allows the kms:Decrypt action`;
    const denied = awsError({ name: 'AccessDenied', message }, call, 'store-unavailable');
    expect(denied.message).toMatch(`kms:Decrypt on ${key}`);
    expect(denied.message).toMatch('s3:GetObject on s3://photos/a.jpg');
  });

  it('names the missing permission, and the region where the bucket is', () => {
    const denied = awsError({ name: 'AccessDenied' }, call, 'store-unavailable');
    expect(denied.message).toMatch(/s3:GetObject/);
    const redirect = {
      name: 'PermanentRedirect',
      $response: { headers: { 'x-amz-bucket-region': 'eu-west-1' } },
    };
    expect(awsError(redirect, call, 'store-unavailable').message).toMatch(/eu-west-1/);
  });

  it('does not carry the HTTP exchange along', () => {
    const cause = Object.assign(new Error('x'), { name: 'SlowDown', $response: { body: 'all of it' } });
    expect(awsError(cause, call, 'store-unavailable').cause).not.toHaveProperty('$response');
  });
});
