/** TCB statuses of Intel, and how two of them make one. */

/** What a policy may accept; `Revoked` it may not. */
export const TCB_STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded'
] as const

export type TcbStatus = (typeof TCB_STATUSES)[number] | 'Revoked'

/** From the best to the worst. */
const ORDER: readonly TcbStatus[] = [...TCB_STATUSES, 'Revoked']

export function isTcbStatus (value: unknown): value is TcbStatus {
  return ORDER.some(status => status === value)
}

/**
 * The worse of the two. What is out of date and also needs another configuration is said to be both, as Intel's own
 * library has it.
 */
export function worse (one: TcbStatus, other: TcbStatus): TcbStatus {
  const [better = one, worst = other] = ORDER.indexOf(one) < ORDER.indexOf(other) ? [one, other] : [other, one]
  const needsConfiguration = better === 'ConfigurationNeeded' || better === 'ConfigurationAndSWHardeningNeeded'
  if (worst === 'OutOfDate' && needsConfiguration) return 'OutOfDateConfigurationNeeded'
  return worst
}
