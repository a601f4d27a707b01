/** Exit status of the command, and the mistakes that are the user's. */

export const VERIFIED = 0
export const REFUSED = 1
export const COULD_NOT_ASK = 2
/** As curl has it. */
export const HTTP_ERROR = 22

/** Something about how the command was called; the message says what. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
