/** Finds out what this machine can attest with, for `POLARIS_CONTAINER_ATTESTATION_TYPE=auto`. */
import { stat } from 'node:fs/promises'
import type { AttesterType } from '../attestation/attester.ts'

export const LAUNCHER_SOCKET = '/run/container_launcher/teeserver.sock'
export const TSM_REPORTS = '/sys/kernel/config/tsm/report'

export interface DetectOptions {
  readonly launcherSocket?: string
  /** `UVM_SECURITY_CONTEXT_DIR`, which Azure sets in every confidential container. */
  readonly azureSecurityContext?: string | undefined
  /** Whether an attestation provider is configured; else Azure's raw reports are used. */
  readonly hasMaaEndpoint?: boolean
  readonly tsmReports?: string
}

/** The most specific platform first: Confidential Space and Azure offer more than the kernel below them. */
export async function detectAttester (options: DetectOptions = {}): Promise<AttesterType> {
  const { launcherSocket = LAUNCHER_SOCKET, azureSecurityContext, hasMaaEndpoint = false, tsmReports = TSM_REPORTS } = options
  if (await is(launcherSocket, 'isSocket')) return 'google-confidential-space'
  if (azureSecurityContext && await is(azureSecurityContext, 'isDirectory')) return hasMaaEndpoint ? 'azure-maa' : 'azure-snp'
  if (await hasTsmReports(tsmReports)) return 'configfs-tsm'
  return 'none'
}

/** Whether the kernel gives reports to this process. */
export function hasTsmReports (path = TSM_REPORTS): Promise<boolean> {
  return is(path, 'isDirectory')
}

async function is (path: string, kind: 'isSocket' | 'isDirectory'): Promise<boolean> {
  try {
    return (await stat(path))[kind]()
  } catch {
    // Not there, or not for this process: either way it cannot be used.
    return false
  }
}
