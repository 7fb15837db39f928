/**
 * Writes the Debian package into a folder: `npm run deb -- FOLDER` writes `magicstore_2.0.0_amd64.deb`. Further
 * arguments are those of dpkg-deb. Needs what `npm ci` and `npm run build` make, and dpkg-deb.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { addProgram } from '../program.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../..', import.meta.url))
/** @type {import('../../config.ts')} */
const { settingRows, readVersion } = await import(join(root, 'dist/config.js'))

const PROGRAM = 'usr/lib/magicstore'
const UNITS = ['magicstore.service', 'magicstore@.service', 'magicstore-backup.service', 'magicstore-backup.timer']

const architecture = text('dpkg', ['--print-architecture'])
const [target = '.', ...options] = process.argv.slice(2)
const version = readVersion()
const stage = mkdtempSync(join(tmpdir(), 'magicstore-deb-'))
try {
  addProgram(join(stage, PROGRAM))
  await addCommand()
  addService()
  addControl()
  setModes()
  const file = join(target, `magicstore_${version}_${architecture}.deb`)
  text('dpkg-deb', ['--root-owner-group', ...options, '--build', stage, file])
  console.log(file)
} finally {
  rmSync(stage, { recursive: true })
}

/** Those of a package, whatever the umask of the builder and the modes in node_modules are. */
function setModes () {
  chmodSync(stage, 0o755)
  for (const name of readdirSync(stage, { encoding: 'utf8', recursive: true })) {
    const isCommand = name === 'usr/bin/magicstore' || /^DEBIAN\/(?:post|pre)/.test(name)
    chmodSync(join(stage, name), isCommand || statSync(join(stage, name)).isDirectory() ? 0o755 : 0o644)
  }
}

/** The command with its manual page and completion, which are made from what `--help` prints. */
async function addCommand () {
  add('usr/bin/magicstore', readFileSync(join(here, 'magicstore'), 'utf8'))
  const usage = text(process.execPath, [join(root, 'dist/main.js'), '--help'])
  const names = Array.from(usage.matchAll(/^ {2}magicstore ([a-z]+)/gm), ([, name = '']) => name)
  const commands = await Promise.all(names.map(async name =>
    ({ name, text: (await import(join(root, `dist/commands/${name}.js`))).help.trim() })))
  add('usr/share/man/man1/magicstore.1.gz', zipped(manual(usage, commands)))
  add('usr/share/bash-completion/completions/magicstore', completion(commands))
  add('usr/share/doc/magicstore/copyright', `${readFileSync(join(here, 'copyright'), 'utf8')}${indented(license())}`)
  add('usr/share/doc/magicstore/changelog.gz', zipped(changelog()))
  add('usr/share/lintian/overrides/magicstore', readFileSync(join(here, 'lintian-overrides'), 'utf8'))
}

function addService () {
  for (const name of UNITS) {
    const unit = readFileSync(join(here, '..', name), 'utf8')
      .replaceAll('/opt/magicstore', `/${PROGRAM}`)
      .replaceAll('/etc/magicstore.env', '/etc/magicstore/settings')
      .replaceAll('/etc/magicstore-', '/etc/magicstore/settings-')
    add(`usr/lib/systemd/system/${name}`, unit)
  }
  add('etc/logrotate.d/magicstore', readFileSync(join(here, 'logrotate'), 'utf8'))
  add('usr/share/magicstore/settings', settings())
}

function addControl () {
  const size = files(stage).reduce((sum, name) => sum + Math.ceil(statSync(join(stage, name)).size / 1024), 0)
  const sums = files(stage).map(name =>
    `${createHash('md5').update(readFileSync(join(stage, name))).digest('hex')}  ${name}\n`)
  add('DEBIAN/control', `Package: magicstore
Version: ${version}
Architecture: ${architecture}
Maintainer: MagicStore maintainers <maintainers@users.noreply.example.org>
Installed-Size: ${size}
Depends: nodejs (>= 20.19), adduser, libc6 (>= 2.31), libgcc-s1, libstdc++6
Recommends: logrotate
Section: net
Priority: optional
Description: private file store with REST authentication
 Files, folders, versions and links for the people of a house or a company: a
 web page, WebDAV, resumable uploads and an API with an OpenAPI document.
 .
 The server runs as its own user, keeps its data in /var/lib/magicstore, and
 takes its settings from /etc/magicstore/settings. A timer makes a backup every
 day.
`)
  add('DEBIAN/conffiles', '/etc/logrotate.d/magicstore\n')
  add('DEBIAN/md5sums', sums.join(''))
  for (const name of ['postinst', 'prerm', 'postrm']) {
    add(`DEBIAN/${name}`, readFileSync(join(here, name), 'utf8'))
  }
}

/** Every setting as a comment with its default. */
function settings () {
  const rows = settingRows().map(({ name, fallback, description }) => {
    const value = name === 'DATA_DIR' ? '/var/lib/magicstore' : fallback === 'none' ? '' : fallback.replace(' ', '')
    return `${wrapped(description).map(line => `# ${line}\n`).join('')}#${name}=${value}\n`
  })
  return `# Settings of MagicStore. One NAME=value in a line, without quotes and spaces; see the section "Settings file" of the guide.
# After a change: systemctl restart magicstore. What is a comment has the value that it shows.

${rows.join('\n')}`
}

/** @param {string} usage @param {{ name: string, text: string }[]} commands */
function manual (usage, commands) {
  const block = (/** @type {string} */ lines) => `.nf\n${roff(lines)}\n.fi\n`
  const sections = commands.map(({ name, text }) => `.SS magicstore ${name}\n${block(text)}`)
  return `.TH MAGICSTORE 1 "" "MagicStore ${version}" "User Commands"
.SH NAME
magicstore \\- private file store with REST authentication
.SH SYNOPSIS
.B magicstore
.I COMMAND
.RI [ OPTION ]...
.SH DESCRIPTION
Run as root, the command reads /etc/magicstore/settings and becomes the user magicstore, but for
.BR sync .
${block(usage)}.SH COMMANDS
${sections.join('')}.SH FILES
.TP
/etc/magicstore/settings
The settings of the server.
.TP
/var/lib/magicstore
The data of the server.
.TP
/var/backups/magicstore
The backups that magicstore\\-backup.timer makes.
`
}

/** @param {{ name: string, text: string }[]} commands */
function completion (commands) {
  const cases = commands.map(({ name, text }) => {
    const verbs = Array.from(text.matchAll(new RegExp(`^ {2}(?:magicstore )?${name} ([a-z][a-z-]+)`, 'gm')), ([, verb]) => verb)
    const options = Array.from(text.matchAll(/--[a-z][a-z-]+/g), ([option]) => option)
    return `    ${name}) words="${Array.from(new Set([...verbs, ...options, '--help'])).join(' ')}" ;;`
  })
  return `# bash completion of magicstore
_magicstore () {
  local current=\${COMP_WORDS[COMP_CWORD]} words=
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${commands.map(({ name }) => name).join(' ')} --help --version"; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"; compgen -o dirnames -- "$current")
}
complete -F _magicstore magicstore
`
}

function changelog () {
  const date = new Date(1000 * Number(process.env.SOURCE_DATE_EPOCH ?? statSync(join(root, 'CHANGELOG.md')).mtimeMs / 1000))
  const when = date.toUTCString().replace('GMT', '+0000')
  return `magicstore (${version}) unstable; urgency=medium

  * See CHANGELOG.md in the source.

 -- MagicStore maintainers <maintainers@users.noreply.example.org>  ${when}
`
}

function license () {
  return readFileSync(join(root, 'LICENSE'), 'utf8').trim()
}

/** A long field of a control file. @param {string} lines */
function indented (lines) {
  return lines.split('\n').map(line => ` ${line === '' ? '.' : line}\n`).join('')
}

/** @param {string} lines */
function roff (lines) {
  return lines.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^(?=[.'])/gm, '\\&')
}

/** @param {string} line */
function wrapped (line) {
  return line.match(/.{1,100}(?:\s|$)/g)?.map(part => part.trim()) ?? []
}

/** @param {string} command @param {string[]} args */
function text (command, args) {
  return execFileSync(command, args, { encoding: 'utf8' }).trim()
}

/** @param {string} content */
function zipped (content) {
  return gzipSync(content, { level: 9 })
}

/** Every file of a folder. @param {string} folder @returns {string[]} */
function files (folder) {
  return readdirSync(folder, { encoding: 'utf8', recursive: true })
    .filter(name => !name.startsWith('DEBIAN') && statSync(join(folder, name)).isFile()).sort()
}

/** @param {string} name @param {string | Buffer} content */
function add (name, content) {
  const path = join(stage, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}
