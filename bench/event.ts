/** An event as the workload of bench/events.ts writes it. */
export const EVENT_BYTES = 50

/** Nanoseconds of the machine's monotonic clock at which the events in this text were written. */
export function timesIn (text: string): bigint[] {
  return Array.from(text.matchAll(/data: (\d+)/g), ([, time = '0']) => BigInt(time))
}
