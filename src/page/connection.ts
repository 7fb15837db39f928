import { signal } from '@preact/signals'

/** Whether the server could not be reached when the page last asked it for changes. */
export const isOffline = signal(false)
