import { frameTexts } from './frame-texts.ts'

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

/**
 * Sizes, numbers and dates are in the locale of the browser. The formats are created once, because that takes longer
 * than to use them, and each row of a list shows a size.
 */
const sizeFormats = units.map(unit => new Intl.NumberFormat(undefined, {
  style: 'unit',
  unit,
  ...unit === 'byte'
    ? { unitDisplay: 'long', maximumFractionDigits: 0 }
    : { unitDisplay: 'short', maximumFractionDigits: 1 }
}))

/** With Latin digits, because the texts compare with `1`. */
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

/** In the language of the texts, in the largest unit that fits, rounded up: `12 minutes`. */
export function formatDuration (seconds: number): string {
  const [unit, size] = seconds < 90 ? ['second', 1] : seconds < 5400 ? ['minute', 60] : ['hour', 3600]
  const format = new Intl.NumberFormat(frameTexts.language, { style: 'unit', unit, unitDisplay: 'long' })
  return format.format(Math.ceil(seconds / size))
}
