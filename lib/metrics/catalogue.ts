/**
 * Every metric that the proxy has, in one table: docs/metrics.md is compared with it. Labels come from closed sets,
 * which the code that counts knows in advance: none is ever made of what a client or a workload sends.
 */
import { REQUEST, WORK, traffic } from './traffic.ts'
import type { Definition } from './traffic.ts'

export const catalogue = {
  ...traffic,
  decapsulations: {
    name: 'polaris_decapsulations_total',
    type: 'counter',
    help: 'HPKE decapsulations.',
    labels: ['protocol', 'outcome']
  },
  privateOperations: {
    name: 'polaris_private_key_operations_total',
    type: 'counter',
    help: 'RSA private-key operations; refused are those that found too many waiting.',
    labels: ['protocol', 'outcome']
  },
  privateOperationsWaiting: {
    name: 'polaris_private_key_operations_waiting',
    type: 'gauge',
    help: 'RSA private-key operations that were asked for and are not done.',
    labels: ['protocol']
  },
  replayChecks: {
    name: 'polaris_replay_checks_total',
    type: 'counter',
    help: 'Questions to the replay store: the request was new, was seen before, or the store was unavailable.',
    labels: ['store', 'outcome']
  },
  replayDuration: {
    name: 'polaris_replay_check_duration_seconds',
    type: 'histogram',
    help: 'Until the replay store answered.',
    labels: ['store'],
    buckets: WORK
  },
  replayEntries: {
    name: 'polaris_replay_store_entries',
    type: 'gauge',
    help: 'What a replay store in memory remembers in its present generation.',
    labels: ['store']
  },
  replayCapacity: {
    name: 'polaris_replay_store_capacity',
    type: 'gauge',
    help: 'How much a replay store in memory can remember in one generation.',
    labels: ['store']
  },
  replayUp: {
    name: 'polaris_replay_store_up',
    type: 'gauge',
    help: '1 if the replay store works, 0 if requests are refused because it does not.',
    labels: ['store'],
    together: 'min'
  },
  keys: {
    name: 'polaris_keys',
    type: 'gauge',
    help: 'Keys that open requests, or are about to.',
    labels: ['kind', 'state'],
    together: 'max'
  },
  keyAge: {
    name: 'polaris_key_age_seconds',
    type: 'gauge',
    help: 'Age of the newest key of a state; of an RSA key, since this process first had it.',
    labels: ['kind', 'state'],
    together: 'max'
  },
  keyRotation: {
    name: 'polaris_key_next_rotation_seconds',
    type: 'gauge',
    help: 'Until the next key takes the place of the active one; negative if it is late.',
    labels: ['kind', 'state'],
    together: 'min'
  },
  certificateExpiry: {
    name: 'polaris_tls_certificate_expiry_seconds',
    type: 'gauge',
    help: 'Until the newest certificate of the authority expires; negative once it has. Absent before the first.',
    labels: [],
    together: 'min'
  },
  certificateFailures: {
    name: 'polaris_tls_certificate_failures',
    type: 'gauge',
    help: 'Attempts to obtain a certificate that failed since the last one that did not.',
    labels: [],
    together: 'max'
  },
  evidenceAge: {
    name: 'polaris_evidence_age_seconds',
    type: 'gauge',
    help: 'Age of the attestation evidence.',
    labels: ['platform'],
    together: 'max'
  },
  evidenceExpiry: {
    name: 'polaris_evidence_expiry_seconds',
    type: 'gauge',
    help: 'Until the attestation evidence expires; negative once it has.',
    labels: ['platform'],
    together: 'min'
  },
  evidenceFailures: {
    name: 'polaris_evidence_failures',
    type: 'gauge',
    help: 'Attempts to obtain evidence that failed since the last one that did not.',
    labels: ['platform'],
    together: 'max'
  },
  gateOpen: {
    name: 'polaris_attestation_gate_open',
    type: 'gauge',
    help: '1 if requests are forwarded, 0 if the attestation gate is closed.',
    labels: ['platform'],
    together: 'min'
  },
  gateState: {
    name: 'polaris_attestation_gate_state',
    type: 'gauge',
    help: '1 for the state that the attestation gate is in.',
    labels: ['platform', 'state'],
    together: 'max'
  },
  calls: {
    name: 'polaris_service_calls_total',
    type: 'counter',
    help: 'Calls to the key service and for attestation evidence.',
    labels: ['service', 'outcome']
  },
  callDuration: {
    name: 'polaris_service_call_duration_seconds',
    type: 'histogram',
    help: 'Until the key service answered, or evidence was there.',
    labels: ['service'],
    buckets: REQUEST
  },
  connections: {
    name: 'polaris_workload_connections',
    type: 'gauge',
    help: 'Connections to the workload.',
    labels: ['state']
  },
  workloadErrors: {
    name: 'polaris_workload_errors_total',
    type: 'counter',
    help: 'Exchanges with the workload that failed.',
    labels: ['kind']
  },
  usageAnswers: {
    name: 'polaris_usage_answers_total',
    type: 'counter',
    help: 'Answers whose token counts were reported (docs/usage.md).',
    labels: ['protocol']
  },
  usageTokens: {
    name: 'polaris_usage_tokens_total',
    type: 'counter',
    help: 'Tokens of these answers.',
    labels: ['protocol', 'direction']
  },
  buffered: {
    name: 'polaris_buffered_bytes',
    type: 'gauge',
    help: 'What messages that cannot be streamed hold of POLARIS_CONTAINER_MAX_BUFFERED_BYTES.',
    labels: []
  },
  bufferLimit: {
    name: 'polaris_buffer_limit_bytes',
    type: 'gauge',
    help: 'POLARIS_CONTAINER_MAX_BUFFERED_BYTES, of all processes together.',
    labels: []
  },
  ready: {
    name: 'polaris_ready',
    type: 'gauge',
    help: '1 if a process can serve, as /readyz says.',
    labels: ['worker']
  },
  eventLoopDelay: {
    name: 'polaris_event_loop_delay_seconds',
    type: 'gauge',
    help: 'Delay of the event loop over the last ten to twenty seconds.',
    labels: ['worker', 'quantile']
  },
  heap: {
    name: 'polaris_heap_bytes',
    type: 'gauge',
    help: 'Heap of V8 that is in use.',
    labels: ['worker']
  },
  heapLimit: {
    name: 'polaris_heap_limit_bytes',
    type: 'gauge',
    help: 'Most that the heap of V8 may grow to.',
    labels: ['worker']
  },
  rss: {
    name: 'polaris_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory.',
    labels: ['worker']
  },
  memoryLimit: {
    name: 'polaris_memory_limit_bytes',
    type: 'gauge',
    help: 'Memory that all processes together may use: the limit of the container, or that of the machine.',
    labels: [],
    together: 'max'
  },
  cpu: {
    name: 'polaris_cpu_seconds_total',
    type: 'counter',
    help: 'CPU time.',
    labels: ['worker']
  },
  descriptors: {
    name: 'polaris_open_descriptors',
    type: 'gauge',
    help: 'Open file descriptors.',
    labels: ['worker']
  },
  uptime: {
    name: 'polaris_uptime_seconds',
    type: 'gauge',
    help: 'Since the process started.',
    labels: ['worker']
  },
  restarts: {
    name: 'polaris_worker_restarts_total',
    type: 'counter',
    help: 'Workers that ended by themselves and were started again.',
    labels: ['worker']
  },
  build: {
    name: 'polaris_build_info',
    type: 'gauge',
    help: '1, with the version of the proxy and of Node.',
    labels: ['version', 'node'],
    together: 'max'
  }
} as const satisfies Record<string, Definition>

export type MetricName = keyof typeof catalogue

/** The labels of a metric, in the order of its definition. */
export type LabelsOf<Name extends MetricName> = Texts<(typeof catalogue)[Name]['labels']>
type Texts<Names extends readonly unknown[]> = { readonly [Index in keyof Names]: string }

export const definitions: Readonly<Record<MetricName, Definition>> = catalogue
