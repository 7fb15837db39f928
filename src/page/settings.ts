const { registration, links, linkMaxDays: maxDays, trash } = document.documentElement.dataset

/** Whether anybody can create an account. */
export const isRegistrationOpen = registration === 'open'

/** Whether the operator allows links. */
export const hasLinks = links === 'on'

/** Longest lifetime of a link in days, and the default; 0: no limit. */
export const linkMaxDays = Number(maxDays)

/** Whether deleted files go to a trash. */
export const hasTrash = trash !== 'off'
