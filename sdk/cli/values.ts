/** Values of options. */
import { UsageError } from './status.ts'

/** For `argParser`: seconds, also fractions of one, as milliseconds. */
export function parseSeconds (option: string): (text: string) => number {
  return text => {
    const seconds = /^\d{1,7}(?:\.\d{1,6})?$/.test(text) ? Number(text) : NaN
    if (!(seconds > 0)) throw new UsageError(`${option} must be a number of seconds above 0`)
    return seconds * 1000
  }
}

export function parseCount (option: string, most: number): (text: string) => number {
  return text => {
    const count = /^\d{1,6}$/.test(text) ? Number(text) : NaN
    if (!(count <= most)) throw new UsageError(`${option} must be a number from 0 to ${most}`)
    return count
  }
}

/** For options that may be given several times. */
export function collect (value: string, previous: readonly string[]): string[] {
  return [...previous, value]
}
