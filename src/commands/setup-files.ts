import { open, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { packageFolder, settingRows, type Config } from '../config.ts'
import { linesOf } from './command.ts'
import { namesOf, type UserNames } from './data-owner.ts'

/** The answer to the question where backups go. */
export const NO_BACKUPS = 'none'

/** The address from which a proxy on the host reaches the container, as in `container.yaml`. */
export const PROXY_OF_CONTAINER = '10.83.1.1'

/** The folder that `StateDirectory` of the unit makes. */
const STATE_FOLDER = '/var/lib/magicstore'

/** Where systemd looks for units: it takes the first that it finds. A package installs to the last one. */
const UNIT_FOLDERS = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system']

const SERVER_UNIT = 'magicstore.service'
const BACKUP_UNIT = 'magicstore-backup.service'
const BACKUP_TIMER = 'magicstore-backup.timer'

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

/** The files of `src/deployment` with the user and the paths of this installation, and commands: what is left to do. */
export async function serviceOf (config: Config, installation: Installation): Promise<Service> {
  return installation.isContainer ? containerOf(config, installation) : unitsOf(config, installation)
}

async function containerOf (config: Config, installation: Installation): Promise<Service> {
  const { file, backups, userId } = installation
  const text = composeText(await readTemplate('container.yaml'), config, installation)
  const commands = [...createFolder(backups, userId), 'docker compose up -d']
  return { files: [{ path: join(dirname(file), 'compose.yaml'), text }], commands }
}

/** Without what a package has installed, or an operator by hand. */
async function unitsOf (config: Config, installation: Installation): Promise<Service> {
  const { backups, userId } = installation
  const hasBackups = backups !== NO_BACKUPS
  const names = await namesOf(userId)
  const files: ServiceFile[] = []
  for (const name of [SERVER_UNIT, ...(hasBackups ? [BACKUP_UNIT, BACKUP_TIMER] : [])]) {
    const text = unitText(await readTemplate(name), config, { ...installation, ...names })
    if (text !== await installedUnit(name)) files.push({ path: `/etc/systemd/system/${name}`, text })
  }
  const isThere = await stat(backups).then(({ uid }) => uid === userId, () => false)
  const hasUnwantedTimer = !hasBackups && await installedUnit(BACKUP_TIMER) !== undefined
  const units = `magicstore${hasBackups ? ` ${BACKUP_TIMER}` : ''}`
  const commands = [
    ...(isThere ? [] : createFolder(backups, names.user)),
    ...(files.length > 0 ? ['systemctl daemon-reload'] : []),
    `systemctl enable ${units}`,
    // The server of a package may run already, without these settings.
    `systemctl restart ${units}`,
    ...(hasUnwantedTimer ? [`systemctl disable --now ${BACKUP_TIMER}`] : [])
  ]
  return { files, commands }
}

function createFolder (backups: string, user: string | number): string[] {
  return backups === NO_BACKUPS ? [] : [`install -d -o ${user} -m 0700 ${backups}`]
}

async function installedUnit (name: string): Promise<string | undefined> {
  for (const folder of UNIT_FOLDERS) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined)
    if (text !== undefined) return text
  }
  return undefined
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
  text: string, { dataDir }: Config, { file, backups, user, group }: Installation & UserNames
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
    ...(dataDir !== STATE_FOLDER && {
      'StateDirectory=magicstore\nStateDirectoryMode=0700': `ReadWritePaths=${escaped(dataDir)}`,
      '%S/magicstore': escaped(dataDir),
      [STATE_FOLDER]: escaped(dataDir)
    }),
    'User=magicstore\nGroup=magicstore': `User=${user}\nGroup=${group}`,
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
