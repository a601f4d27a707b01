/** The example of monitoring: each alert has its runbook, and rules and dashboard speak of metrics that exist. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { definitions } from '../../lib/metrics/catalogue.ts'
import { read } from '../fixtures/documents.ts'

interface Rule {
  alert: string,
  expr: string,
  for: string,
  labels: { severity: string },
  annotations: {
    summary: string, runbook_url: string
  }
}
interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number, y: number, w: number, h: number }
  datasource?: { uid: string }
  targets?: { refId: string, expr: string, legendFormat: string, datasource: { uid: string } }[]
}
interface Dashboard {
  uid: string,
  title: string,
  schemaVersion: number,
  panels: Panel[],
  templating: {
    list: {
      name: string, type: string
    }[]
  }
}

const file = (name: string) => readFileSync(new URL(`../../examples/monitoring/${name}`, import.meta.url), 'utf8')
const rules = (parse(file('alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(group => group.rules)
const dashboard = JSON.parse(file('grafana/dashboard.json')) as Dashboard
const operations = read('docs/operations.md')

/** Names of series, with the labels that a selector may name. */
const series = new Map<string, readonly string[]>([[
  'up', ['job', 'instance']
], ...Object.values(definitions).flatMap(({ name, type, labels }): [string, string[]][] => {
  const all = [...labels, 'instance']
  return type === 'histogram'
    ? [[`${name}_bucket`, [...all, 'le']], [`${name}_sum`, all], [`${name}_count`, all]]
    : [[name, all]]
})])

function faults (expr: string): string[] {
  const selectors = [...expr.matchAll(/\b(up|polaris_[a-z_]+)(?:\{([^}]*)\})?/g)]
  if (selectors.length === 0) return ['no metric']
  return selectors.flatMap(([, name = '', matchers = '']) => {
    const labels = series.get(name)
    if (labels === undefined) return [`${name} does not exist`]
    return [
      ...matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)
    ].filter(([, label = '']) => !labels.includes(label)).map(([, label]) => `${name} has no ${label}`)
  })
}

t.test('each alert speaks of metrics that exist, and leads to a section that says what to look at, and what to ' +
  'do', async t => {
  for (const { alert, expr, labels, annotations } of rules) {
    t.strictSame(faults(expr), [], alert)
    t.match(labels.severity, /^(?:page|ticket)$/)
    const anchor = annotations.runbook_url.split('/docs/operations.md#')[1]
    t.equal(anchor, alert.toLowerCase())
    const [, section = ''] = operations.split(`\n### ${alert}\n`)
    const [text = ''] = section.split('\n#')
    t.match(text, /\*\*Look at\*\*[^]*\*\*[Dd]o\*\*/, alert)
    t.ok(operations.includes(`| [${alert}](#${anchor}) | ${labels.severity} |`), `${alert} is in the table`)
  }
  const sections = [...operations.matchAll(/^### (Polaris[A-Z]\w+)$/gm)].map(([, name]) => name).sort()
  t.strictSame(sections, rules.map(({ alert }) => alert).sort(), 'no section is of an alert that is gone')
})

t.test('the runbook is in the order of its table, and what pages comes first', async t => {
  const [, text = ''] = operations.split('\n## Alerts\n')
  const [section = ''] = text.split('\n## ')
  const table = [...section.matchAll(/^\| \[(Polaris\w+)\]\(#\w+\) \| (page|ticket) \|/gm)]
  const sections = [...section.matchAll(/^### (Polaris\w+)$/gm)].map(([, name]) => name)
  t.strictSame(sections, table.map(([, name]) => name))
  t.strictSame(table.map(([, , severity]) => severity), table.map(([, , severity]) => severity).toSorted())
})

t.test('each alert has a test for promtool', async t => {
  const { tests } = parse(file('alerts.test.yaml')) as {
    tests: { alert_rule_test: { alertname: string, exp_alerts: unknown[] }[] }[]
  }
  for (const expected of [1, 0]) {
    const tested = tests.flatMap(test => test.alert_rule_test).filter(
      ({ exp_alerts: alerts }) => alerts.length === expected
    ).map(({ alertname }) => alertname)
    t.strictSame(tested.sort(), rules.map(({ alert }) => alert).sort(), expected === 1 ? 'it fires' : 'it does not')
  }
})

t.test('the dashboard is as Grafana wants it, and shows metrics that exist', async t => {
  t.match(dashboard.uid, /^[\w-]{1,40}$/)
  t.ok(dashboard.schemaVersion >= 36)
  const variables = dashboard.templating.list.map(({ name }) => name)
  t.strictSame(variables, ['datasource', 'instance'])
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length, 'ids are unique')
  const taken = new Set<string>()
  for (const { title, type, gridPos: { x, y, w, h }, targets = [], datasource } of dashboard.panels) {
    t.match(type, /^(?:row|stat|timeseries)$/)
    t.ok(x + w <= 24, title)
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        if (taken.has(`${column} ${line}`)) t.fail(`${title} covers another panel`)
        taken.add(`${column} ${line}`)
      }
    }
    if (type === 'row') continue
    t.equal(datasource?.uid, '${' + 'datasource}')
    t.ok(targets.length > 0, title)
    for (const { expr, legendFormat } of targets) {
      t.strictSame(faults(expr), [], title)
      // What it is labelled by is what it is grouped by.
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        t.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b`), `${title}: ${label}`)
      }
    }
  }
  const shown = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join(' ')
  for (const { name } of Object.values(definitions)) {
    // Of those that are left out, the alerts or others tell enough.
    if (
      !/failures|gate_state|_up$|call_duration|check_duration|heap_limit|descriptors|uptime|build|polaris_keys$|evidence_age/
        .test(name)
    ) {
      t.ok(shown.includes(name), name)
    }
  }
})

t.test('Prometheus is told of the job that the alerts go by, and the proxy listens where it looks', async t => {
  const { scrape_configs: [job] } = parse(file('prometheus.yaml')) as {
    scrape_configs: { job_name: string, static_configs: { targets: string[] }[] }[]
  }
  t.equal(job?.job_name, 'polaris')
  const { services } = parse(file('compose.yaml')) as {
    services: Record<string, { environment?: Record<string, string>, ports?: string[], volumes?: string[] }>
  }
  const port = services['proxy']?.environment?.['POLARIS_CONTAINER_ADMIN_ADDRESS']?.split(':').at(-1)
  t.strictSame(job?.static_configs[0]?.targets, [`proxy:${port}`])
  t.notOk(services['proxy']?.ports, 'it is not published')
  for (const volume of Object.values(services).flatMap(({ volumes = [] }) => volumes)) {
    const [source = ''] = volume.split(':')
    t.ok(file(source.replace('../../monitoring/', '')).length > 0, source)
  }
})
