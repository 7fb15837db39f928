import { formatTime } from './format.ts'

/** A timestamp (RFC 3339) as a text for the user. */
export function Time ({ timestamp }: { timestamp: string }) {
  return <time dateTime={timestamp}>{formatTime(timestamp)}</time>
}
