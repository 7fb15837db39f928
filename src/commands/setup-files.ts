import { open, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { packageFolder, settingRows, type Config } from '../config.ts'
import { linesOf } from './command.ts'
import { nameOf } from './data-owner.ts'

/** The answer to the question where backups go. */
export const NO_BACKUPS = 'none'

/** The address from which a proxy on the host reaches the container, as in `container.yaml`. */
export const PROXY_OF_CONTAINER = '10.83.1.1'

/** Where users keep their files, which the units hide. */
const HOME = /^\/(?:home|root)\//

interface Installation {
  /** The settings file. */
  readonly file: string
  readonly backups: string
  /** Who runs the server. */
  readonly userId: number
  readonly isContainer: boolean
}

/** A file that starts the server or its backups. */
interface ServiceFile { readonly path: string, readonly text: string }

/** What starts a server and its backups, with the commands that root runs once the files are there. */
interface Service { readonly files: readonly ServiceFile[], readonly commands: readonly string[] }

function settingsText (settings: Record<string, string>): string {
  const rows = settingRows().filter(({ name }) => settings[name] !== undefined)
  const lines = rows.map(({ name, description }) => `\n# ${description}\n${name}=${settings[name]}\n`)
  return `# Settings of a MagicStore server. All that there are: magicstore serve --help\n${lines.join('')}`
}

/** Adds settings to a file. `group`: whose members can read it, if it is a new one that root makes. */
export async function addSettings (file: string, settings: Record<string, string>, group?: number): Promise<void> {
  const handle = await open(file, 'a', 0o600)
  try {
    if (group !== undefined) {
      await handle.chown(-1, group)
      await handle.chmod(0o640)
    }
    await handle.appendFile(settingsText(settings))
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The files of `src/deployment`, with the user and the paths of this installation. */
export async function serviceOf (config: Config, installation: Installation): Promise<Service> {
  const { file, backups, userId, isContainer } = installation
  const hasBackups = backups !== NO_BACKUPS
  const user = isContainer ? String(userId) : await nameOf(userId)
  const folder = hasBackups ? [`install -d -o ${user} -m 0700 ${backups}`] : []
  if (isContainer) {
    const text = composeText(await readTemplate('container.yaml'), config, installation)
    const path = join(dirname(file), 'compose.yaml')
    return { files: [{ path, text }], commands: [...folder, 'docker compose up -d'] }
  }
  const names = ['magicstore.service', ...(hasBackups ? ['magicstore-backup.service', 'magicstore-backup.timer'] : [])]
  const files = names.map(async name => ({
    path: `/etc/systemd/system/${name}`,
    text: unitText(await readTemplate(name), config, { ...installation, user })
  }))
  const units = `magicstore${hasBackups ? ' magicstore-backup.timer' : ''}`
  // The server of a package may run already, without these settings.
  const commands = ['systemctl daemon-reload', `systemctl enable ${units}`, `systemctl restart ${units}`]
  return { files: await Promise.all(files), commands: [...folder, ...commands] }
}

export function textOfService ({ settings, files, commands }: Service & { settings: string }): string {
  return linesOf(
    `wrote ${settings}`,
    ...files.map(({ path, text }) => `\nPut this into ${path}:\n\n${text.trimEnd()}`),
    '\nThen run, as root:\n',
    ...commands,
    ''
  )
}

async function readTemplate (name: string): Promise<string> {
  return readFile(join(packageFolder, 'dist/deployment', name), 'utf8')
}

function unitText (
  text: string, { dataDir }: Config, { file, backups, user }: Installation & { user: string }
): string {
  const program = dirname(join(packageFolder, 'package.json'))
  const isAtHome = [program, process.execPath, dataDir, backups].some(path => HOME.test(path))
  // A percent sign is the beginning of a specifier.
  const escaped = (path: string) => path.replaceAll('%', '%%')
  return replaced(text, {
    '/opt/magicstore': escaped(program),
    '/usr/bin/node': escaped(process.execPath),
    '/etc/magicstore.env': escaped(file),
    '/var/backups/magicstore': escaped(backups),
    'StateDirectory=magicstore\nStateDirectoryMode=0700': `ReadWritePaths=${escaped(dataDir)}`,
    '%S/magicstore': escaped(dataDir),
    '/var/lib/magicstore': escaped(dataDir),
    'User=magicstore\nGroup=magicstore': `User=${user}`,
    'ProtectHome=yes': isAtHome ? 'ProtectHome=read-only' : 'ProtectHome=yes'
  })
}

/** Folders have the same path in the container as outside. */
function composeText (text: string, { tls, publicUrl }: Config, { file, backups }: Installation): string {
  const folders = tls === undefined ? [] : Array.from(new Set([dirname(tls.cert), dirname(tls.key)]))
  const certificates = folders.map(folder => `      - ${folder}:${folder}:ro\n`).join('')
  const port = new URL(String(publicUrl)).port || '443'
  const filled = replaced(text, {
    '/etc/magicstore.env': `./${basename(file)}`,
    '127.0.0.1:5000:5000': tls === undefined ? '127.0.0.1:5000:5000' : `${port}:5000`,
    '/var/backups/magicstore': backups
  })
  // The lines of the backups are the last ones of the volumes.
  return filled.replace(/ +# A cron job(?:.+\n){3}/, found => (backups === NO_BACKUPS ? '' : found) + certificates)
}

/** The text with all replaced in one pass, so that nothing is replaced in what was put in. */
function replaced (text: string, replacements: Readonly<Record<string, string>>): string {
  return text.replace(new RegExp(Object.keys(replacements).join('|'), 'g'), found => String(replacements[found]))
}
