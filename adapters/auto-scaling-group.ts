import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
  SetInstanceProtectionCommand,
} from '@aws-sdk/client-auto-scaling';

/** Whoever finds work asks again and again; the group is asked once in this time. */
const WAKE_EVERY_MS = 60_000;

/**
 * The auto scaling group that workers run in. It scales by alarms on the queues, whose metrics lag by minutes where a
 * queue has been idle; so whoever sends the first work starts the first instance.
 *
 * Permissions: `autoscaling:DescribeAutoScalingGroups` and `autoscaling:SetDesiredCapacity` to wake,
 * `autoscaling:SetInstanceProtection` to protect.
 */
export class AutoScalingGroup {
  readonly #name: string;
  readonly #client: AutoScalingClient;
  readonly #now: () => number;
  #wokenAtMs = Number.NEGATIVE_INFINITY;

  constructor(name: string, client = new AutoScalingClient({}), now = () => performance.now()) {
    this.#name = name;
    this.#client = client;
    this.#now = now;
  }

  /**
   * Starts an instance where there is none. A group that is larger already, or may not grow, stays as it is.
   *
   * @returns whether an instance was started.
   */
  async wake(): Promise<boolean> {
    if (this.#now() - this.#wokenAtMs < WAKE_EVERY_MS) return false;
    const names = { AutoScalingGroupNames: [this.#name] };
    const { AutoScalingGroups = [] } = await this.#client.send(new DescribeAutoScalingGroupsCommand(names));
    const [group] = AutoScalingGroups;
    if (group === undefined) throw new Error(`there is no auto scaling group "${this.#name}"`);
    this.#wokenAtMs = this.#now();
    if ((group.DesiredCapacity ?? 0) > 0 || (group.MaxSize ?? 0) === 0) return false;
    await this.#client.send(
      new SetDesiredCapacityCommand({
        AutoScalingGroupName: this.#name,
        DesiredCapacity: 1,
        HonorCooldown: false,
      }),
    );
    return true;
  }

  /** Keeps the group from choosing this instance when it shrinks, or lets it. */
  async protect(instanceId: string, isProtected: boolean): Promise<void> {
    await this.#client.send(
      new SetInstanceProtectionCommand({
        AutoScalingGroupName: this.#name,
        InstanceIds: [instanceId],
        ProtectedFromScaleIn: isProtected,
      }),
    );
  }
}
