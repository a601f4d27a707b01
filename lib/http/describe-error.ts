/** An error as it may be logged: where it happened, not what it says, since messages quote what they choked on. */

interface ErrorDescription {
  readonly type: string
  readonly code?: string
  readonly stack?: string
}

/** A logger's serializer is also given what was described already. */
const descriptions = new WeakSet<object>()

export function describeError (error: unknown): ErrorDescription {
  if (!(error instanceof Error)) return isDescription(error) ? error : { type: typeof error }
  const code = codeOf(error)
  const frames = framesOf(error)
  const description = {
    type: error.constructor.name, ...(code !== undefined && { code }), ...(frames !== undefined && { stack: frames })
  }
  descriptions.add(description)
  return description
}

/** What is behind the message, of which a line may look like a frame. */
function framesOf ({ message, stack }: Error): string | undefined {
  return stack?.replace(message, () => '').split('\n').filter(line => /^\s+at /.test(line)).join('\n')
}

function isDescription (value: unknown): value is ErrorDescription {
  return typeof value === 'object' && value !== null && descriptions.has(value)
}

/** The code of an error, or its name. */
export function codeOf (error: unknown): string | undefined {
  const { code, name } = (error ?? {}) as { code?: unknown, name?: unknown }
  return typeof code === 'string' ? code : typeof name === 'string' ? name : undefined
}
