/** No trusted execution environment: the keys are named, nothing is proven, and the answer says so. */
import type { Attester } from '../../attestation/attester.ts'

export const none: Attester = {
  type: 'none',
  async evidence () {
    return { tee: 'none', evidence: [], endorsements: [] }
  }
}
