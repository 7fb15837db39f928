import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { createStore, expectRefusal, report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { clientOf, spawnServer, startServer } from '../kit/server.ts'

const DAY = 24 * 3600_000

t.test('readiness and metrics tell the latest backup, and events tell each', async t => {
  const { folder: root, dataDir } = await createStore(t, { one: 'the first' })
  const [settings, folder] = [{ DATA_DIR: dataDir }, join(root, 'backup')]
  // Each time another server, because the metrics are cached for a minute.
  const state = async () => {
    const server = await spawnServer(t, { ...settings, BACKUP_HOURS: '24', METRICS_PORT: '0' }, { isCounted: true })
    const [, metricsPort = ''] = /metrics: +http:\/\/127\.0\.0\.1:(\d+)/.exec(server.welcome.join('\n')) ?? []
    const { json } = await server.send('GET', '/health/ready')
    const { text } = await clientOf(Number(metricsPort)).send('GET', '/metrics')
    const metric = (name: string) => Number(new RegExp(`^magicstore_backup_last_${name} (.+)$`, 'm').exec(text)?.[1])
    await server.end('SIGTERM')
    return { ...json, at: metric('success_timestamp_seconds'), result: metric('result') }
  }
  t.match(await state(), { status: 'ready', backup: 'none', at: NaN, result: NaN })
  const unasked = await startServer(t, settings)
  t.notOk('backup' in (await unasked.send('GET', '/health/ready')).json, 'nothing without BACKUP_HOURS')
  await unasked.close()
  const { snapshot, createdAt } = await report(['backup', folder], settings)
  const made = await state()
  t.match(made, { status: 'ready', backup: 'ok', result: 1 })
  t.ok(made.at * 1000 >= Date.parse(createdAt) && made.at * 1000 <= Date.now(), `${made.at}`)

  await expectRefusal(t, ['backup', join(folder, 'manifest.json')], settings)
  t.match(await state(), { status: 'ready', backup: 'failed', at: made.at, result: 0 })
  await report(['backup', folder], settings)
  const database = new Database(join(dataDir, 'magicstore.db'))
  database.exec(`UPDATE events SET at = at - ${DAY + 1} WHERE kind LIKE 'backup%'`)
  t.match(await state(), { status: 'ready', backup: 'late', result: 1 })

  await report(['restore', folder, '--user', 'ada'], settings)
  const events = (await runCommand(['events', '--json'], settings)).stdout.trim().split('\n').map(line => JSON.parse(line))
  t.match(events.filter(({ kind }) => /backup|restored/.test(kind)), [
    { kind: 'backup_made', details: { folder, snapshot, files: 1, bytes: 9, isProven: false } },
    { kind: 'backup_failed', details: { reason: /./ } },
    { kind: 'backup_made' },
    { kind: 'files_restored', username: 'ada', details: { restored: 0, replaced: 0 } }
  ])
  const restored = { DATA_DIR: join(root, 'restored') }
  await report(['restore', folder], restored)
  t.match((await runCommand(['events', '--json'], restored)).stdout, /"store_restored"/)

  // A process that writes for long, so that nothing can be recorded.
  database.exec('BEGIN IMMEDIATE')
  const { code, stdout, stderr } = await runCommand(['backup', folder, '--json'], settings)
  t.match({ code, stderr }, { code: 0, stderr: /^magicstore: it is done, but could not be recorded as an event: [^\n]+\n$/ })
  t.match(JSON.parse(stdout), { files: 1 })
  database.exec('ROLLBACK')
  database.close()
  await rm(root, { recursive: true })
})
