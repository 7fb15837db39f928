import type { Locator, Page } from 'playwright-core'
import { browserTest, isFocused, shows } from '../browser.ts'
import { dialogButton, fileButton, menuButton, press, visitAs, type FilesVisit } from '../files-page.ts'
import { goTo, hasFocusIn } from '../page.ts'

const again = (page: Page) => page.getByRole('button', { name: 'Try again', exact: true })

/** What has the focus, in words. */
const focused = (page: Page) => page.evaluate(() => document.activeElement === document.body ? 'nothing' : 'something')

interface Loss {
  readonly what: string
  /** Leads to the control. */
  readonly find: (visit: FilesVisit) => Promise<Locator>
  /** Makes it go away; by default Enter. */
  readonly lose?: (visit: FilesVisit) => Promise<unknown>
}

/** Makes the server refuse requests until the result is called. */
async function refuse (page: Page, url: string): Promise<() => Promise<void>> {
  const answer = (route: { fulfill (answer: { status: number }): Promise<void> }) => route.fulfill({ status: 503 })
  await page.route(url, answer)
  return () => page.unroute(url, answer)
}

const events = (ids: number[], next: string | null) => ({
  events: ids.map(id => ({ id, kind: 'sign_in', network: '192.0.2.1', createdAt: '2026-11-24T09:30:00.000Z' })), next
})

/** Wherever a control goes away under the focus. */
const losses: Loss[] = [
  {
    what: 'the box of the head, when all is chosen by its key',
    find: async ({ page }) => page.getByRole('columnheader').getByLabel('Select all'),
    lose: ({ page }) => press(page, 'Control+a')
  },
  {
    what: 'the box of the head, when it is pressed',
    find: async ({ page }) => page.getByRole('columnheader').getByLabel('Select all'),
    lose: ({ page }) => press(page, 'Space')
  },
  {
    what: 'the button that ends the selection',
    find: async ({ page }) => {
      await press(page, 'Control+a')
      return page.getByRole('button', { name: 'End the selection' })
    }
  },
  {
    what: '"Try again" of the list',
    find: async ({ page }) => {
      const serve = await refuse(page, '**/api/files?*')
      await page.reload()
      await again(page).waitFor()
      await serve()
      return again(page)
    }
  },
  {
    what: 'the button that puts a refusal away',
    find: async ({ page }) => {
      const serve = await refuse(page, '**/uploads/a.txt')
      await fileButton(page, 'a.txt').focus()
      await press(page, 'Delete')
      const dismiss = page.locator('.refusal').getByRole('button', { name: 'Dismiss' })
      await dismiss.waitFor()
      await serve()
      return dismiss
    }
  },
  {
    what: 'the row of a file that another program deletes',
    find: async ({ page }) => menuButton(page, 'b.txt'),
    lose: ({ server, token }) => server.send('DELETE', '/uploads/b.txt', { token })
  },
  {
    what: 'the field for a new name',
    find: async ({ page }) => {
      await fileButton(page, 'a.txt').focus()
      await press(page, 'F2')
      return page.getByRole('textbox', { name: 'New name of a.txt' })
    },
    lose: ({ page }) => press(page, 'Escape')
  },
  {
    what: 'the button of letters, when the list becomes short',
    find: async ({ page, put }) => {
      for (let n = 0; n < 29; n++) await put(`n${n}.txt`, 'x')
      return page.getByRole('button', { name: 'A–Z: jump to a letter' })
    },
    lose: ({ server, token }) => server.send('DELETE', '/uploads/n1.txt', { token })
  },
  {
    what: 'the last file, when another program deletes it',
    find: async ({ page, server, token }) => {
      for (let n = 0; n < 29; n++) await server.send('DELETE', `/uploads/n${n}.txt`, { token })
      await page.locator('.grid .body .row').nth(1).waitFor({ state: 'hidden' })
      return fileButton(page, 'a.txt')
    },
    lose: ({ server, token }) => server.send('DELETE', '/uploads/a.txt', { token })
  },
  {
    what: '"Empty the trash"',
    find: async ({ page }) => {
      await goTo(page, 'Trash')
      return page.getByRole('button', { name: 'Empty the trash' })
    },
    lose: async ({ page }) => {
      await press(page, 'Enter')
      await dialogButton(page, 'Delete all for good').press('Enter')
    }
  },
  {
    what: '"Show more" of the events, when there are no more',
    find: async ({ page }) => {
      await page.route('**/api/account/events?*', route =>
        route.fulfill({ json: route.request().url().includes('cursor') ? events([1], null) : events([3, 2], '2') }))
      await goTo(page, 'Account')
      return page.getByRole('button', { name: 'Show more' })
    }
  },
  {
    what: '"Try again" of a section',
    find: async ({ page }) => {
      const serve = await refuse(page, '**/api/second-factor')
      await page.reload()
      await again(page).waitFor()
      await serve()
      return again(page)
    }
  }
]

browserTest('whatever goes away under the focus, the focus stays in the page', async t => {
  const visit = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b' })
  const { page } = visit
  for (const { what, find, lose = ({ page }: FilesVisit) => press(page, 'Enter') } of losses) {
    const control = await find(visit)
    await control.focus()
    t.ok(await isFocused(control), what)
    await lose(visit)
    await control.waitFor({ state: 'hidden' })
    await shows(t, () => focused(page), 'something', what)
    await press(page, 'Escape')
  }
})

browserTest('all files are chosen with the focus on the box of the head, and deleted by the next key', async t => {
  const { page } = await visitAs(t, { 'a.txt': 'a', 'b.txt': 'b' })
  const grid = page.getByRole('grid')
  await page.getByRole('columnheader').getByLabel('Select all').focus()
  await press(page, 'Control+a')
  await shows(t, () => hasFocusIn(grid), true)
  await press(page, 'Delete')
  await page.getByText('Moved to the trash: 2 items').waitFor()
})
