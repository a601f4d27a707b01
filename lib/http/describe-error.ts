/** An error as it may be logged: where it happened, not what it says, since messages quote what they choked on. */
export function describeError (error: unknown): { type: string, code?: string, stack?: string } {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = codeOf(error)
  const frames = error.stack?.split('\n').filter(line => /^\s+at /.test(line)).join('\n')
  return { type: error.constructor.name, ...(code !== undefined && { code }), ...(frames !== undefined && { stack: frames }) }
}

/** The code of an error, or its name. */
export function codeOf (error: unknown): string | undefined {
  const { code, name } = (error ?? {}) as { code?: unknown, name?: unknown }
  return typeof code === 'string' ? code : typeof name === 'string' ? name : undefined
}
