// The client's time of the content, in milliseconds since 1970.

/** RFC 3339, section 5.6. */
const TIME = /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i

/** The first and the last millisecond of the years with four digits. */
const RANGE = ['0000-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z'].map(text => Date.parse(text)) as [number, number]

/** A time of RFC 3339; undefined if it is none, or in a leap second. */
export function parseTime (text: string): number | undefined {
  const [, day] = TIME.exec(text) ?? []
  // `Date.parse` takes February 30 for March 2.
  if (day === undefined || !isDay(day)) return undefined
  return inRange(Date.parse(text.toUpperCase()))
}

/** A time in milliseconds; undefined if it is no integer that can be one. */
export function parseMilliseconds (text: string): number | undefined {
  return /^-?\d{1,15}$/.test(text) ? inRange(Number(text)) : undefined
}

/** Unix time in seconds, perhaps with a fraction, in milliseconds; undefined if it is none. */
export function parseSeconds (text: string): number | undefined {
  return /^-?\d{1,12}(?:\.\d+)?$/.test(text) ? inRange(Math.round(Number(text) * 1000)) : undefined
}

function isDay (day: string): boolean {
  const time = Date.parse(day)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day)
}

function inRange (time: number): number | undefined {
  return time >= RANGE[0] && time <= RANGE[1] ? time : undefined
}
