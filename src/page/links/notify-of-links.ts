import { notifyProblem } from '../files/files.ts'
import { notify } from '../notices.tsx'
import { hasLinks } from '../settings.ts'
import { texts } from '../texts.ts'
import { links, loadLinks, revokeAllLinks } from './links.ts'

/** Shows a notice after a change of the password. It ends no links, so the notice offers to revoke them. */
export async function notifyOfLinks (text: string): Promise<void> {
  if (hasLinks) await loadLinks().catch(() => {})
  if (!hasLinks || (links.peek() ?? []).length === 0) return notify({ text })
  notify({
    text: `${text} ${texts.links.stayAfterPassword}`,
    action: { label: texts.links.revokeAllLinks, run: () => { revokeAll().catch(notifyProblem) } }
  })
}

async function revokeAll (): Promise<void> {
  await revokeAllLinks()
  notify({ text: texts.links.allRevoked })
}
