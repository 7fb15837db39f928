const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

const { lang } = document.documentElement

/** The language of the texts, as it is written where the user lives, if the browser tells. */
export const locale = navigator.languages.find(tag => tag.split('-')[0] === lang) ?? lang

/** The formats are created once, because that takes longer than to use them, and each row of a list shows a size. */
const sizeFormats = units.map(unit => new Intl.NumberFormat(locale, {
  style: 'unit',
  unit,
  ...unit === 'byte'
    ? { unitDisplay: 'long', maximumFractionDigits: 0 }
    : { unitDisplay: 'short', maximumFractionDigits: 1 }
}))

const numberFormat = new Intl.NumberFormat(locale)
const percentFormat = new Intl.NumberFormat(locale, { style: 'percent' })

/** A size in powers of 1000, such as `1.2 MB`. */
export function formatSize (bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1)
  return sizeFormats[power]?.format(bytes / 1000 ** power) ?? ''
}

/** A count with separators, such as `1,234`. */
export function formatNumber (value: number): string {
  return numberFormat.format(value)
}

/** A share of 1, such as `25%`. */
export function formatPercent (share: number): string {
  return percentFormat.format(share)
}

const timeFormat = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })

/** A timestamp (RFC 3339) in the time zone of the browser. */
export function formatTime (timestamp: string): string {
  return timeFormat.format(new Date(timestamp))
}

const preciseFormats = [
  timeFormat,
  new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }),
  new Intl.DateTimeFormat(locale, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3
  })
]

/** Timestamps (RFC 3339), each as precise as tells it from the others. */
export function formatTimes (timestamps: readonly string[]): string[] {
  const all = preciseFormats.map(format => timestamps.map(timestamp => format.format(new Date(timestamp))))
  const distinct = all.map(texts => {
    const counts = new Map<string, number>()
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
    return texts.map(text => counts.get(text) === 1)
  })
  return timestamps.map((_, index) => all.at(distinct.findIndex(level => level[index]))?.[index] ?? '')
}

const dateFormat = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' })

/** The day of a timestamp (RFC 3339) in the time zone of the browser. */
export function formatDate (timestamp: string): string {
  return dateFormat.format(new Date(timestamp))
}

/** In the language of the texts, in the largest unit that fits, rounded up: `12 minutes`. */
export function formatDuration (seconds: number): string {
  const [unit, size] = seconds < 90 ? ['second', 1] : seconds < 5400 ? ['minute', 60] : ['hour', 3600]
  const format = new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' })
  return format.format(Math.ceil(seconds / size))
}
