/** The registry: every kind of evidence that this package appraises. */
import { azureCvm } from './azure/cvm.ts'
import { azureMaa } from './azure/verifier.ts'
import { google } from './google/verifier.ts'
import { simulated } from './simulated/verifier.ts'
import { sevSnp } from './snp/verifier.ts'
import { tdx } from './tdx/verifier.ts'
import type { Verifier } from './context.ts'

export const VERIFIERS: readonly Verifier[] = [google, azureMaa, azureCvm, sevSnp, tdx, simulated]
