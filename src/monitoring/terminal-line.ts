const LEVELS: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' }

/** What moves a cursor, recolours a terminal, or turns the direction of what follows: what a proxy says of its client is any text. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

interface Entry {
  level: number
  time: number
  msg?: string
  pid?: number
  hostname?: string
  [fact: string]: unknown
}

/** A line of the log, a JSON object, as a person reads it on a terminal; the stack of an error stands below. */
export function terminalLine (json: string): string {
  const { level, time, msg, pid: _pid, hostname: _hostname, ...facts } = JSON.parse(json) as Entry
  const { text, rest } = msg === 'request' ? requestText(facts) : { text: msg, rest: facts }
  const stack = (rest.err as { stack?: string } | undefined)?.stack
  const shown = Object.entries(rest).filter(([name]) => name !== 'err' || stack === undefined)
  const words = [clock(time), String(LEVELS[level]).padEnd(5), text, ...shown.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)]
  return [words.join(' '), ...stack?.split('\n').map(line => `    ${line}`) ?? []].map(line => `${printable(line)}\n`).join('')
}

function requestText ({ method, path, status, milliseconds, ...rest }: Record<string, unknown>): { text: string | undefined, rest: Record<string, unknown> } {
  return { text: `${method} ${path} ${status} ${milliseconds} ms`, rest }
}

/** The local time of day: who looks at a terminal knows the date. */
function clock (time: number): string {
  const date = new Date(time)
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()].map(part => String(part).padStart(2, '0'))
  return `${hours}:${minutes}:${seconds}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

function printable (text: string): string {
  return text.replace(UNPRINTABLE, character => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
