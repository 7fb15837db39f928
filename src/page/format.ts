import { frameTexts } from './frame-texts.ts'

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

/**
 * In the locale of the browser, as dates: the separators are what its user is used to. Created once: that takes longer
 * than to format a number, and each row of a list shows a size.
 */
const sizeFormats = units.map((unit, power) => {
  const style = { style: 'unit', unit, unitDisplay: power === 0 ? 'long' : 'short', maximumFractionDigits: power === 0 ? 0 : 1 } as const
  return new Intl.NumberFormat(undefined, style)
})

/** With the digits that the texts expect. */
const numberFormat = new Intl.NumberFormat(undefined, { numberingSystem: 'latn' })

/** A size in powers of 1000, such as `1.2 MB`. */
export function formatSize (bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1)
  return sizeFormats[power]?.format(bytes / 1000 ** power) ?? ''
}

/** A count with separators, such as `1,234`. */
export function formatNumber (value: number): string {
  return numberFormat.format(value)
}

/**
 * In the locale of the browser: the order of day and month, and a clock of 12 or 24 hours, are what its user is used
 * to.
 */
const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** A timestamp (RFC 3339) in the time zone of the browser. */
export function formatTime (timestamp: string): string {
  return timeFormat.format(new Date(timestamp))
}

const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })

/** The day of a timestamp (RFC 3339) in the time zone of the browser. */
export function formatDate (timestamp: string): string {
  return dateFormat.format(new Date(timestamp))
}

/** For a sentence, in its language: a wait in the largest unit that it fills, rounded up, such as `12 minutes`. */
export function formatDuration (seconds: number): string {
  const [unit, size] = seconds < 90 ? ['second', 1] as const : seconds < 5400 ? ['minute', 60] as const : ['hour', 3600] as const
  return new Intl.NumberFormat(frameTexts.language, { style: 'unit', unit, unitDisplay: 'long' }).format(Math.ceil(seconds / size))
}
