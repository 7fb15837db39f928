const LEVELS: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' }

/** What moves a cursor, recolours a terminal, or turns the direction of what follows: a path may hold any of it. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

interface Entry {
  level: number
  time: number
  msg?: string
  pid?: number
  hostname?: string
  err?: { stack?: string, message?: string }
  [fact: string]: unknown
}

/** A line of the log, a JSON object, as a person reads it on a terminal; the stack of an error stands below. */
export function terminalLine (json: string): string {
  const { level, time, msg = '', err, pid: _pid, hostname: _hostname, ...facts } = JSON.parse(json) as Entry
  const { text, rest } = msg === 'request' ? requestText(facts) : { text: msg, rest: facts }
  const words = [clock(time), String(LEVELS[level]).padEnd(5), text, ...Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)]
  const stack = (err?.stack ?? err?.message)?.split('\n') ?? []
  return [words.join(' '), ...stack.map(line => `    ${line}`)].map(line => `${printable(line)}\n`).join('')
}

function requestText ({ method, path, status, milliseconds, ...rest }: Record<string, unknown>): { text: string, rest: Record<string, unknown> } {
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
