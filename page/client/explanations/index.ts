/** An explanation for each check that the verifiers make, by the check's name. */
import { amd } from './amd.ts'
import { clouds } from './clouds.ts'
import type { Explanation, Explanations } from './explanation.ts'
import { general } from './general.ts'
import { intel } from './intel.ts'
import { nvidia } from './nvidia.ts'
import { provenance } from './provenance.ts'

export type { Explanation } from './explanation.ts'

export const explanations: Explanations = { ...general, ...clouds, ...amd, ...intel, ...nvidia, ...provenance }

/** @returns undefined for a check of a verifier that was added */
export function explain (name: string): Explanation | undefined {
  return Object.hasOwn(explanations, name) ? explanations[name] : undefined
}
