import { readFile } from 'node:fs/promises';

/** Clock ticks a second, in which Linux counts processor time (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Processor seconds that a process has used, in all its threads and in its main thread. */
export interface ProcessorTime {
  readonly all: number;
  readonly mainThread: number;
}

export async function processorTimeOf(pid: number): Promise<ProcessorTime> {
  const [all, mainThread] = await Promise.all([
    secondsIn(`/proc/${pid}/stat`),
    secondsIn(`/proc/${pid}/task/${pid}/stat`),
  ]);
  return { all, mainThread };
}

/** utime and stime, the 14th and 15th field (proc_pid_stat(5)); the second one, the name, may have spaces in it. */
async function secondsIn(stat: string): Promise<number> {
  const text = await readFile(stat, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
