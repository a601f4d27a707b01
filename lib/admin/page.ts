/** Writes a snapshot in the text format of Prometheus, with prom-client. */
import { AggregatorRegistry } from 'prom-client'
import { definitions } from '../metrics/catalogue.ts'
import type { MetricName } from '../metrics/catalogue.ts'
import type { Row, Snapshot } from '../metrics/meter.ts'
import type { Definition } from '../metrics/traffic.ts'

export const PAGE_MEDIA_TYPE = AggregatorRegistry.PROMETHEUS_CONTENT_TYPE

interface Value {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly metricName?: string
}

export async function pageOf (snapshot: Snapshot): Promise<string> {
  const metrics = Object.entries<readonly Row[]>(snapshot).map(([name, rows]) => {
    const definition = definitions[name as MetricName]
    const { name: metric, type, help } = definition
    return { name: metric, type, help, aggregator: 'first', values: rows.flatMap(row => valuesOf(definition, row)) }
  })
  return AggregatorRegistry.aggregate([metrics]).metrics()
}

function valuesOf ({ name, type, labels: names, buckets = [] }: Definition, [texts, values]: Row): Value[] {
  const labels = Object.fromEntries(names.map((label, i) => [label, texts[i] ?? '']))
  if (type !== 'histogram') return [{ value: values[0] ?? 0, labels }]
  let count = 0
  const cumulated = [...buckets, '+Inf'].map((le, i) => {
    count += values[i] ?? 0
    return { value: count, labels: { ...labels, le }, metricName: `${name}_bucket` }
  })
  return [
    ...cumulated,
    { value: values[buckets.length + 1] ?? 0, labels, metricName: `${name}_sum` },
    { value: count, labels, metricName: `${name}_count` }
  ]
}
