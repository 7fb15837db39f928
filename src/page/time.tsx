import { formatTime } from './format.ts'

/** A timestamp (RFC 3339) as a text for the user. */
export function Time ({ timestamp }: { timestamp: string }) {
  return <time dateTime={timestamp}>{formatTime(timestamp)}</time>
}

interface OptionalTimeProps { time: string | null, label: (time: string) => string, otherwise: string }

export function OptionalTime ({ time, label, otherwise }: OptionalTimeProps) {
  return time === null ? <span>{otherwise}</span> : <time dateTime={time}>{label(formatTime(time))}</time>
}
