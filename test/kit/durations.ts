/** In milliseconds, like `DAY`. */
export const HOUR = 3600_000
export const DAY = 24 * HOUR
