import closeWithGrace from 'close-with-grace'
import type { AddressInfo } from 'node:net'
import { buildApp } from '../app.ts'
import { readConfig, settingRows, type Config } from '../config.ts'
import { openMagicStore } from '../magicstore.ts'

/** Starts the server and keeps it until a signal ends it. */
export async function serve (): Promise<void> {
  // All that the process makes is its owner's alone: folders 0700, files 0600.
  process.umask(0o077)
  const config = readConfig()
  const store = await openMagicStore(config)
  const { http, connections } = await buildApp(store)
  try {
    await http.listen({ host: config.host, port: config.port, listenTextResolver: () => 'listening' })
  } catch (error) {
    await store.close()
    throw error
  }
  // No limit of its own: transfers under way end however long they take, and stalled ones are cut.
  closeWithGrace({ delay: false, logger: http.log }, async ({ err }) => {
    if (err !== undefined) http.log.fatal({ err }, 'the server failed')
    connections.stop()
    await http.close()
    await store.close()
  })
  console.log(welcome(config, http.server.address() as AddressInfo))
}

function welcome (config: Config, { address, port, family }: AddressInfo): string {
  const url = config.publicUrl ?? `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  return [
    `MagicStore serves at ${url}`,
    `  try it in a browser: ${url}/docs`,
    `  data:                ${config.dataDir}`,
    `  password policy:     ${config.passwordPolicy} (${config.passwordPolicyReason})`
  ].join('\n')
}

/** What `magicstore serve --help` prints. */
export function serveHelp (): string {
  const rows = settingRows().map(({ name, fallback, description }) => `  ${name.padEnd(18)} ${description} Default: ${fallback}.`)
  return ['magicstore serve: run the server. Settings come from the environment:', '', ...rows].join('\n')
}
