/** What a check asks and why it matters, in words for people who run no proxy. */
export interface Explanation {
  /** A question that "yes" answers if the check passed. */
  readonly asks: string
  /** What could be wrong if the answer is "no" or unknown. */
  readonly matters: string
}

export type Explanations = Readonly<Record<string, Explanation>>
