/**
 * Variables with which the operator can make libraries write what they send and receive, tokens and
 * passwords included, to standard error. They are no settings of the proxy, and what they write passes its log by.
 */

const LIBRARIES = [
  'AZURE_LOG_LEVEL', 'DEBUG', 'GOOGLE_SDK_NODE_LOGGING', 'GRPC_NODE_TRACE', 'GRPC_NODE_VERBOSITY', 'GRPC_TRACE',
  'GRPC_VERBOSITY'
]

export interface Quieted {
  /** Names of variables that were set, and are no more. */
  readonly removed: string[]
  /** Whether Node itself is told to write such things. It reads its variable before anything can remove it. */
  readonly nodeDebugs: boolean
}

/** Removes them from `env`. To be called before any library that reads them is loaded. */
export function quietEnvironment (env: Record<string, string | undefined>): Quieted {
  const removed = LIBRARIES.filter(name => env[name] !== undefined)
  for (const name of removed) delete env[name]
  const nodeDebugs = (env['NODE_DEBUG'] ?? '') !== ''
  // Processes that are started from this one do not have it.
  delete env['NODE_DEBUG']
  return { removed, nodeDebugs }
}
