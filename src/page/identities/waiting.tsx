import { texts } from '../later-texts.ts'

/** Says that the person goes on in another window. */
export function Waiting ({ isWaiting }: { isWaiting: boolean }) {
  return <p class='hint' role='status'>{isWaiting && texts.identities.waiting}</p>
}
