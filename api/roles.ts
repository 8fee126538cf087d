/** The roles that routes ask for, as tokens carry them: the present service's, and those of this one's own pages. */
export const VIEW_REPORTS = 'ROLE_VIEW_INCIDENT_REPORTS'
export const MAINTAIN_REPORTS = 'ROLE_MAINTAIN_INCIDENT_REPORTS'
export const DELETE_REPORTS = 'ROLE_DELETE_INCIDENT_REPORTS'
/** Reads who has seen and changed what. */
export const REVIEW_AUDIT = 'ROLE_IRS_CDC__AUDITOR__RO'
/** Sees, and in the second role mends, the pipeline itself. */
export const OPERATE_READ = 'ROLE_IRS_CDC__OPERATOR__RO'
export const OPERATE_WRITE = 'ROLE_IRS_CDC__OPERATOR__RW'
/** Anybody with a token: what is the same for everybody and names nobody. */
export const ANY_ROLE = '*'
/** Brings incidents over from NOMIS, and keeps the mapping between the two. */
export const MIGRATE_REPORTS = 'ROLE_MIGRATE_INCIDENT_REPORTS'
export const MAP_INCIDENTS = 'ROLE_NOMIS_MAPPING_API__SYNCHRONISATION__RW'
/** Decides which prison reports which type where, and edits NOMIS records after their cut-off. */
export const ADMINISTER_REPORTS = 'ROLE_INCIDENT_REPORTS__ADMIN'
