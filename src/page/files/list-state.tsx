import type { ComponentChildren } from 'preact'
import { isOffline } from '../connection.ts'
import { Retry } from '../problem.tsx'
import { texts } from '../texts.ts'
import type { Listing } from './listing.ts'

interface ListStateProps<Entry> {
  listing: Listing<Entry>
  /** Shown if the list has no entries. */
  children: ComponentChildren
}

interface EmptyListProps { title: string, hint: string, role?: 'status', children?: ComponentChildren }

/** Shown in place of a list that has no entries. */
export function EmptyList ({ title, hint, role, children }: EmptyListProps) {
  return (
    <div class='list-state empty' role={role}>
      <h3>{title}</h3>
      <p class='muted'>{hint}</p>
      {children}
    </div>
  )
}

/** Why the last request failed; without an error and without rows, that the list is loading or empty. */
export function ListState<Entry> ({
  listing: { entries, isComplete, isLoading, error, refresh }, children
}: ListStateProps<Entry>) {
  // Of kept entries, the page says that it is offline.
  const isKept = isOffline.value && entries.value.length > 0
  if (error.value !== undefined && !isKept) {
    return <div class='list-state'><Retry error={error.value} action={refresh} /></div>
  }
  if (entries.value.length > 0) return null
  if (!isComplete.value) return <p class='list-state muted' role='status'>{isLoading.value && texts.loading}</p>
  return <>{children}</>
}
