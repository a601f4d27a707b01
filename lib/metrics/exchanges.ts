/** Counts requests as they pass: an observer of passages. */
import type { ProblemCode } from '../http/problems.ts'
import type { Counter, Histogram, Meter } from './meter.ts'
import { sharesOf } from './passage.ts'
import type { Observer, PassageProtocol, WorkloadError } from './passage.ts'

const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
const MS = 1000

/** The series of one protocol, so that no label is looked at for a request. */
interface OfProtocol {
  readonly requests: readonly Counter[]
  readonly cutOff: Counter
  readonly duration: Histogram
  readonly firstByte: Histogram
  readonly gap: Histogram
  readonly proxy: Histogram
  readonly workload: Histogram
  readonly opening: Histogram
  readonly sealing: Histogram
  readonly received: Counter
  readonly sent: Counter
  readonly refusals: Map<ProblemCode, Counter>
}

export function createExchangeMeter (meter: Meter): Observer {
  const protocols = new Map<PassageProtocol, OfProtocol>()
  const errors = new Map<WorkloadError, Counter>()
  let inFlight = 0
  meter.watch(put => put('inFlight', [], inFlight))

  function seriesOf (protocol: PassageProtocol): OfProtocol {
    let series = protocols.get(protocol)
    if (series === undefined) protocols.set(protocol, series = createSeries(meter, protocol))
    return series
  }

  return {
    begin () { inFlight++ },
    onGap (protocol, gap) { seriesOf(protocol).gap.observe(gap / MS) },
    end (passage, { ended, statusClass, isComplete, received, sent }) {
      inFlight--
      const { protocol, problem, workloadError, begun, opened, answered, responded, sealing } = passage
      const series = seriesOf(protocol)
      series.requests[statusClass]?.add()
      series.duration.observe((ended - begun) / MS)
      series.received.add(received)
      series.sent.add(sent)
      if (!isComplete) series.cutOff.add()
      if (problem !== undefined) {
        counterOf(series.refusals, problem, () => meter.counter('refusals', protocol, problem)).add()
      }
      if (workloadError !== undefined) {
        counterOf(errors, workloadError, () => meter.counter('workloadErrors', workloadError)).add()
      }
      if (opened === 0) return
      const shares = sharesOf(passage, ended)
      series.opening.observe(shares.opening / MS)
      if (responded === 0) return
      series.firstByte.observe((responded - begun) / MS)
      if (sealing > 0) series.sealing.observe(shares.sealing / MS)
      if (answered === 0) return
      series.proxy.observe(shares.proxy / MS)
      series.workload.observe(shares.workload / MS)
    }
  }
}

function createSeries (meter: Meter, protocol: PassageProtocol): OfProtocol {
  return {
    requests: STATUS_CLASSES.map(status => meter.counter('requests', protocol, status)),
    cutOff: meter.counter('cutOff', protocol),
    duration: meter.histogram('duration', protocol),
    firstByte: meter.histogram('firstByte', protocol),
    gap: meter.histogram('pieceGap', protocol),
    proxy: meter.histogram('proxyShare', protocol),
    workload: meter.histogram('workloadShare', protocol),
    opening: meter.histogram('opening', protocol),
    sealing: meter.histogram('sealing', protocol),
    received: meter.counter('received', protocol),
    sent: meter.counter('sent', protocol),
    refusals: new Map()
  }
}

function counterOf<Label> (counters: Map<Label, Counter>, label: Label, create: () => Counter): Counter {
  let counter = counters.get(label)
  if (counter === undefined) counters.set(label, counter = create())
  return counter
}
