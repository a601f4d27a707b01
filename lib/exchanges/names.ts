/** The names of the protocols: one registered from outside adds its own here, by declaration merging. */
export interface ProtocolNames {
  plain: true
  'polaris-v1': true
  'polaris-v1-response': true
  ohttp: true
  'ohttp-chunked': true
  ehbp: true
}

/** What logs and metrics call a protocol. Public: it does not change. */
export type ProtocolName = keyof ProtocolNames
