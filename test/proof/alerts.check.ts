import { spawnSync } from 'node:child_process'
import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { run } from '../kit/programs.ts'
import { blocksOf, readPage } from '../kit/readme.ts'
import { root } from '../kit/root.ts'

// The alert rules and the dashboard, as Prometheus evaluates them. `monitoring.check.ts` checks the names of metrics.

const rulesFile = join(root, 'src/monitoring/alerts.yaml')

interface Rule {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string, description: string, guide: string }
}

const { groups: [{ rules }] } = parse(await readFile(rulesFile, 'utf8')) as { groups: [{ rules: Rule[] }] }

/**
 * Series by name and labels, with values in the notation of promtool: every 30 seconds, or 5 minutes if the test takes
 * hours.
 */
type Series = Record<string, string>

interface Case {
  alert: string
  /** Series for which the alert fires at `at`. */
  firing: Series
  at: string
  /** A time at which it does not fire yet. */
  before?: string
  /** Series for which it does not fire at `at`. */
  quiet: Series
  /** The labels of the alert, except severity. */
  labels: Record<string, string>
  /** What its texts say for `$value`. */
  value?: string
}

const from = 'job="magicstore", instance="a:9090"'
const labels = { job: 'magicstore', instance: 'a:9090' }
const info = `magicstore_info{${from}, version="1.0.0"}`
const problems = (code: string) => `magicstore_problems_total{${from}, code="${code}"}`
const queries = (operation: string, outcome: string) => `magicstore_database_request_duration_seconds_count{${from}, operation="${operation}", outcome="${outcome}"}`
const requests = (outcome: string) => `magicstore_storage_request_duration_seconds_count{${from}, operation="PutObject", outcome="${outcome}"}`
const answers = (status: string) => `magicstore_requests_total{${from}, method="GET", operation="listFiles", status="${status}"}`
const disk = (bytes: 'free' | 'total' | 'kept') => `magicstore_disk_${bytes}_bytes{${from}}`
const backup = `magicstore_backup_last_success_timestamp_seconds{${from}}`

/** An alert on a counter of problems, which increases all the time, or did so once. */
const counted = (alert: string, code: string): Case => ({
  alert, at: '10m', before: '2m', firing: { [problems(code)]: '0+1x40' }, quiet: { [problems(code)]: '0 0 1+0x40' }, labels: { ...labels, code }
})

const cases: Case[] = [
  { alert: 'MagicStoreDown', at: '3m', before: '1m', firing: { [`up{${from}}`]: '0x20' }, quiet: { [`up{${from}}`]: '0x20', 'up{job="magicstore", instance="b:9090"}': '1x20' }, labels: {} },
  { alert: 'MagicStoreServerDown', at: '6m', before: '4m', firing: { [`up{${from}}`]: '0x20' }, quiet: { [`up{${from}}`]: '1x20', 'up{job="other", instance="b:9090"}': '0x20' }, labels },
  { alert: 'MagicStoreRestarting', at: '30m', before: '2m', firing: { [info]: '1x60', [`process_start_time_seconds{${from}}`]: '1x8 2x8 3x8 4x60' }, quiet: { [info]: '1x60', [`process_start_time_seconds{${from}}`]: '1x8 2x8 3x60' }, labels, value: '3' },
  counted('MagicStoreNotReady', 'not_ready'),
  { alert: 'MagicStoreOutage', at: '6m', before: '2m', firing: { [`magicstore_outage{${from}, resource="bucket"}`]: '1x20' }, quiet: { [`magicstore_outage{${from}, resource="bucket"}`]: '1x4 0x20' }, labels: { ...labels, resource: 'bucket' } },
  { alert: 'MagicStoreDatabaseFailing', at: '15m', before: '4m', firing: { [queries('connect', 'ok')]: '0+18x40', [queries('connect', 'refused')]: '0+1x40', [queries('commit', 'failed')]: '0+1x40' }, quiet: { [queries('commit', 'ok')]: '0+18x40', [queries('commit', 'refused')]: '0+9x40' }, labels, value: '10%' },
  { alert: 'MagicStoreConnectionsExhausted', at: '6m', before: '4m', firing: { [`magicstore_database_connections_waiting{${from}}`]: '3x20' }, quiet: { [`magicstore_database_connections_waiting{${from}}`]: '3x8 0x20' }, labels },
  { alert: 'MagicStoreStorageFailing', at: '15m', before: '4m', firing: { [requests('ok')]: '0+8x40', [requests('refused')]: '0+1x40', [requests('failed')]: '0+1x40' }, quiet: { [requests('ok')]: '0+97x40', [requests('refused')]: '0+3x40', [requests('cancelled')]: '0+50x40' }, labels, value: '20%' },
  { alert: 'MagicStoreErrors', at: '15m', before: '4m', firing: { [answers('2xx')]: '0+3x40', [answers('5xx')]: '0+1x40' }, quiet: { [answers('2xx')]: '0+97x40', [answers('5xx')]: '0+3x40', [answers('4xx')]: '0+97x40' }, labels, value: '25%' },
  { alert: 'MagicStoreInternalError', at: '10m', before: '0m', firing: { [problems('internal_error')]: '0 0 1x40' }, quiet: { [problems('internal_error')]: '7x40' }, labels: { ...labels, code: 'internal_error' } },
  { alert: 'MagicStoreFileDamaged', at: '10m', before: '0m', firing: { [problems('file_damaged')]: '0 0 1x40' }, quiet: { [problems('file_damaged')]: '7x40' }, labels: { ...labels, code: 'file_damaged' } },
  counted('MagicStoreStorageFull', 'storage_full'),
  { alert: 'MagicStoreDiskLow', at: '11m', before: '9m', firing: { [disk('free')]: '1048576x40', [disk('total')]: '20971520x40', [disk('kept')]: '0x40' }, quiet: { [disk('free')]: '1048576x40', [disk('total')]: '10485760x40', [disk('kept')]: '262144x40' }, labels, value: '1Mi' },
  { alert: 'MagicStoreDiskLow', at: '11m', before: '9m', firing: { [disk('free')]: '1048576x40', [disk('total')]: '1048576x40', [disk('kept')]: '524288x40' }, quiet: {}, labels, value: '1Mi' },
  counted('MagicStoreOverloaded', 'overloaded'),
  { alert: 'MagicStoreEventLoopLate', at: '11m', before: '9m', firing: { [info]: '1x40', [`nodejs_eventloop_lag_mean_seconds{${from}}`]: '0.25x40' }, quiet: { [info]: '1x40', [`nodejs_eventloop_lag_mean_seconds{${from}}`]: '0.1x40', 'nodejs_eventloop_lag_mean_seconds{job="other", instance="b:9090"}': '1x40' }, labels, value: '250ms' },
  { alert: 'MagicStoreOpenFilesHigh', at: '11m', before: '9m', firing: { [info]: '1x40', [`process_open_fds{${from}}`]: '900x40', [`process_max_fds{${from}}`]: '1000x40' }, quiet: { [info]: '1x40', [`process_open_fds{${from}}`]: '700x40', [`process_max_fds{${from}}`]: '1000x40' }, labels, value: '90%' },
  { alert: 'MagicStoreVersionsDiffer', at: '2h', before: '30m', firing: { [info]: '1x400', 'magicstore_info{job="magicstore", instance="b:9090", version="1.1.0"}': '1x400' }, quiet: { [info]: '1x400', 'magicstore_info{job="magicstore", instance="b:9090", version="1.0.0"}': '1x400' }, labels: { job: 'magicstore' }, value: '2' },
  { alert: 'MagicStoreBackupTooOld', at: '3d', before: '1d', firing: { [backup]: '0x900', 'magicstore_backup_last_success_timestamp_seconds{job="magicstore", instance="b:9090"}': '0x900' }, quiet: { [backup]: '0x900', 'magicstore_backup_last_success_timestamp_seconds{job="magicstore", instance="b:9090"}': '172800x900' }, labels: { job: 'magicstore' }, value: '3d 0h 0m 0s' },
  { alert: 'MagicStoreBackupMissing', at: '25h', before: '23h', firing: { [info]: '1x400', 'magicstore_info{job="magicstore", instance="b:9090", version="1.0.0"}': '1x400' }, quiet: { [info]: '1x400', [backup]: '0x400' }, labels: { job: 'magicstore' } }
]

/** What promtool expects of a rule that fires. */
function expected ({ alert, labels, value = '?' }: Case) {
  const { labels: { severity }, annotations } = rules.find(rule => rule.alert === alert) as Rule
  const filled = Object.entries(annotations).map(([name, text]) =>
    [name, text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_match, label: string) => labels[label] ?? '?').replace(/\{\{ \$value [^}]*\}\}/, value)])
  return { exp_labels: { ...labels, severity }, exp_annotations: Object.fromEntries(filled) }
}

/** Two tests in promtool's format: of the series for which an alert fires, and of those for which it does not. */
function testsOf (each: Case, interval: string): object[] {
  const { alert: alertname, at, before, firing, quiet } = each
  const inputOf = (series: Series) => Object.entries(series).map(([series, values]) => ({ series, values }))
  const early = before === undefined ? [] : [{ alertname, eval_time: before }]
  return [
    {
      interval,
      input_series: inputOf(firing),
      alert_rule_test: [...early, { alertname, eval_time: at, exp_alerts: [expected(each)] }]
    },
    { interval, input_series: inputOf(quiet), alert_rule_test: [{ alertname, eval_time: at }] }
  ]
}

interface Panel { title: string, type: string, targets?: { expr: string, legendFormat: string }[] }

const dashboard = JSON.parse(await readFile(join(root, 'src/monitoring/grafana-dashboard.json'), 'utf8')) as { panels: Panel[], templating: { list: { name: string }[] } }
const targets = dashboard.panels.flatMap(({ targets = [] }) => targets)

/** What Grafana makes of an expression. */
const filled = (expr: string) => expr.replaceAll('$job', 'magicstore').replaceAll('$instance', '.*').replaceAll('$__rate_interval', '2m')

// In `.ci/run` it is installed: there the test must not be skipped.
const skip = spawnSync('promtool', ['--version']).error !== undefined && process.env.REQUIRE_SERVICES !== '1' && 'promtool is not installed'

test('promtool finds nothing wrong with the rules, the expressions of the dashboard and the configuration of the guide, and each rule fires when it should and not when it should not', { skip }, async t => {
  t.match(await run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', rulesFile]), { code: 0, stderr: '' })
  const expressions = join(t.testdir(), 'rules.json')
  await writeFile(expressions, JSON.stringify({ groups: [{ name: 'dashboard', rules: targets.map(({ expr }, index) => ({ record: `panel:${index}`, expr: filled(expr) })) }] }))
  t.match(await run('promtool', ['check', 'rules', '--lint=none', expressions]), { code: 0, stderr: '' })
  t.same(new Set(cases.map(({ alert }) => alert)), new Set(rules.map(({ alert }) => alert)), 'each rule is tested')
  const file = join(t.testdirName, 'tests.json')
  const isLong = ({ at }: Case) => /[hd]$/.test(at)
  for (const [interval, some] of [['30s', cases.filter(each => !isLong(each))], ['5m', cases.filter(isLong)]] as const) {
    const tests = some.flatMap(each => testsOf(each, interval))
    await writeFile(file, JSON.stringify({ rule_files: [rulesFile], evaluation_interval: interval, tests }))
    const { code, stdout, stderr } = await run('promtool', ['test', 'rules', file])
    t.equal(code, 0, { stdout, stderr })
  }
  const [lines = []] = blocksOf(await readPage('monitoring.md'), 'yaml')
  const configuration = join(t.testdirName, 'prometheus.yml')
  await writeFile(configuration, lines.join('\n').replace('/opt/magicstore', root))
  t.match(await run('promtool', ['check', 'config', configuration]), { code: 0, stdout: `SUCCESS: ${rules.length} rules found` })
})

test('each alert says what is wrong and what to do, and names a section of the guide', async t => {
  for (const { alert, labels, annotations: { summary, description, guide } } of rules) {
    t.match(labels.severity, /^(?:critical|warning)$/, alert)
    t.match(summary, /^[^\n]+[^.\n]$/, alert)
    t.match(description, /^[^\n]+\.$/, alert)
    const [page = '', anchor] = guide.split('#')
    await t.resolves(access(join(root, page)), alert)
    const headings = Array.from((await readFile(join(root, page), 'utf8')).matchAll(/^#{2,} (.+)$/gm), ([, heading = '']) => heading.toLowerCase().replaceAll(' ', '-'))
    t.ok(headings.includes(String(anchor)), guide)
  }
})

test('the dashboard knows several servers: what each has bears its name, and what they share is counted once', async t => {
  t.same(dashboard.templating.list.map(({ name }) => name), ['datasource', 'job', 'instance'])
  const shared = /magicstore_(?:accounts|files|folders|stored_bytes|kept_bytes|accounts_near_quota|quota_bytes|quota_files|backup_\w+)\{/
  for (const { expr, legendFormat } of targets) {
    t.ok(expr.includes('job="$job"'), expr)
    if (shared.test(expr)) t.match(expr, /\bmax\(magicstore_\w+\{job="\$job"\}\)$/)
    // A sum or a quantile of requests is that of the servers which are chosen.
    else if (/^(?:sum|histogram_quantile)/.test(expr)) t.equal(legendFormat.includes('{{instance}}'), expr.includes('by (instance'), expr)
    else t.match(legendFormat, '{{instance}}', expr)
    t.equal(expr.split('{job').length - 1, expr.split(shared.test(expr) ? '{job="$job"}' : 'instance=~"$instance"').length - 1, expr)
  }
})
