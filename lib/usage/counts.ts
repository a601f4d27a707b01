/** Token counts: as APIs in the shapes of OpenAI and Anthropic write them, and as the proxy reports them. */

/** Members of a `usage` object, by the names that they have there. */
export const MEMBERS = [
  'prompt_tokens', 'completion_tokens', 'input_tokens', 'output_tokens', 'total_tokens',
  'cache_creation_input_tokens', 'cache_read_input_tokens'
] as const
export type Member = typeof MEMBERS[number]

/** What was found of one `usage` object, or of all those of a stream: of each member the last one counts. */
export type Counts = Partial<Record<Member, number>>

export interface Usage {
  readonly input: number
  readonly output: number
  readonly total: number
}

/** More tokens than any message has: a longer number is no count. */
export const MAX_DIGITS = 9

/**
 * In the shape of OpenAI, `prompt_tokens` or `input_tokens` cover what came from a cache. In that of Anthropic,
 * `input_tokens` do not, and the two cache counts are added. Embeddings have no output.
 */
export function usageOf (counts: Counts): Usage | undefined {
  const cached = (counts.cache_creation_input_tokens ?? 0) + (counts.cache_read_input_tokens ?? 0)
  const input = counts.prompt_tokens ?? (counts.input_tokens === undefined ? undefined : counts.input_tokens + cached)
  const output = counts.completion_tokens ?? counts.output_tokens
  if (input === undefined && output === undefined) return undefined
  const sum = (input ?? 0) + (output ?? 0)
  return { input: input ?? 0, output: output ?? 0, total: counts.total_tokens ?? sum }
}

/** The value of the header, or of the trailer. */
export function formatUsage ({ input, output, total }: Usage): string {
  return `input=${input}, output=${output}, total=${total}`
}
