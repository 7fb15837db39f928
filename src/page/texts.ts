import { frameTexts } from './frame-texts.ts'
import type { PageTexts } from './texts/en-page.ts'

/** The texts of the first view of the page of an account. */
export const texts = frameTexts as unknown as PageTexts
