/** The metrics of traffic, to which every request adds, and what a metric is. */

export interface Definition {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, ascending. */
  readonly buckets?: readonly number[]
  /** What becomes of the values of several processes. Default: their sum. */
  readonly together?: 'max' | 'min'
}

/** Of whole requests, which may stream for minutes. In seconds. */
export const REQUEST = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]
/** Of work that the proxy does itself. In seconds. */
export const WORK = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
/**
 * Of pieces of a stream: none below 10 ms, since how fast a piece follows another can tell what is in it. In seconds.
 */
const PIECES = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export const traffic = {
  requests: {
    name: 'polaris_requests_total',
    type: 'counter',
    help: 'Requests that ended, by the status that everyone on the way could see.',
    labels: ['protocol', 'status']
  },
  inFlight: {
    name: 'polaris_requests_in_flight',
    type: 'gauge',
    help: 'Requests that arrived and have not ended.',
    labels: []
  },
  cutOff: {
    name: 'polaris_requests_cut_off_total',
    type: 'counter',
    help: 'Requests whose response did not end: the client left, or the workload broke off.',
    labels: ['protocol']
  },
  duration: {
    name: 'polaris_request_duration_seconds',
    type: 'histogram',
    help: 'From the head of a request to the end of its response.',
    labels: ['protocol'],
    buckets: REQUEST
  },
  firstByte: {
    name: 'polaris_time_to_first_byte_seconds',
    type: 'histogram',
    help: 'From the head of a request to the first byte of its response.',
    labels: ['protocol'],
    buckets: PIECES
  },
  pieceGap: {
    name: 'polaris_stream_gap_seconds',
    type: 'histogram',
    help: 'Between two pieces of a response that is streamed.',
    labels: ['protocol'],
    buckets: PIECES
  },
  proxyShare: {
    name: 'polaris_proxy_duration_seconds',
    type: 'histogram',
    help: 'The share of the proxy in the time to first byte: without waiting for the client or for the workload.',
    labels: ['protocol'],
    buckets: WORK
  },
  workloadShare: {
    name: 'polaris_workload_duration_seconds',
    type: 'histogram',
    help: 'The share of the workload in the time to first byte: from the whole request to what the response began ' +
      'with.',
    labels: ['protocol'],
    buckets: REQUEST
  },
  received: {
    name: 'polaris_received_bytes_total',
    type: 'counter',
    help: 'Bytes that arrived on the wire from clients.',
    labels: ['protocol']
  },
  sent: {
    name: 'polaris_sent_bytes_total',
    type: 'counter',
    help: 'Bytes that left on the wire to clients.',
    labels: ['protocol']
  },
  refusals: {
    name: 'polaris_refusals_total',
    type: 'counter',
    help: 'Requests that the proxy answered with its own problem (docs/errors.md).',
    labels: ['protocol', 'problem']
  },
  opening: {
    name: 'polaris_opening_duration_seconds',
    type: 'histogram',
    help: 'Opening a request until it could be forwarded, without waiting for its body.',
    labels: ['protocol'],
    buckets: WORK
  },
  sealing: {
    name: 'polaris_sealing_duration_seconds',
    type: 'histogram',
    help: 'Sealing a response until it could begin to leave, without waiting for the workload.',
    labels: ['protocol'],
    buckets: WORK
  }
} as const satisfies Record<string, Definition>
