/**
 * Which answer to which question means what, as the published report definitions have it. Questions are told by code where
 * the definition names codes, and by their text where it names texts; both models carry both. The rules lie in the published
 * copy as a table, so that a reader can see why a report counts.
 */
export interface ReportRule {
  readonly rule: string
  /** What the answer means; null where the rule only holds or does not. */
  readonly category: string | null
  /** Only for reports of this type. */
  readonly type: string | null
  readonly by: 'code' | 'text'
  readonly question: string
  readonly answer: string
}

const SUBTYPES = ['Prisoner on prisoner (PoP)', 'Prisoner on staff (PoS)', 'Prisoner on other', 'Other'] as const

export const FIND_CATEGORIES = [
  'Multiple types',
  'Alcohol / hooch / distilling equipment',
  'Drug / drug equipment',
  'Mobile phone / mobile related item',
  'Digital find (excluding mobile phones)',
  'Tobacco / tobacco related items',
  'Weapon',
  'Other reportable items',
] as const

export const DRUGS = [
  'Unknown',
  'Amphetamines',
  'Barbiturates',
  'Benzodiazepines',
  'Buprenorphine/subutex',
  'Cannabis',
  'Cannabis plant',
  'Cocaine',
  'Crack',
  'Gabapentin',
  'Heroin',
  'Ketamine',
  'LSD',
  'Methadone',
  'NPS (new psychoactive substances)',
  'Pregabalin',
  'Steroids',
  'Tramadol',
  'Tranquilisers',
  'Other',
] as const

export const SELF_HARM_METHODS = [
  ['Cutting', 'DID SELF HARM METHOD INVOLVE CUTTING'],
  ['Hanging', 'DID SELF HARM METHOD INVOLVE HANGING'],
  ['Self Strangulation', 'DID SELF HARM METHOD INVOLVE SELF STRANGULATION'],
  ['Poisoning / Overdose / Swallowing', 'DID SELF HARM INVOLVE SELF POISONING/ OVERDOSE/SWALLOWING OBJECTS'],
  ['Burning', 'DID SELF HARM METHOD INVOLVE BURNING'],
  ['Other', 'WAS ANY OTHER SELF HARM METHOD INVOLVED'],
] as const

const SEXUAL = 'WAS THIS A SEXUAL ASSAULT'
const INJURY = 'WAS A SERIOUS INJURY SUSTAINED'
const INTERNAL = 'WAS MEDICAL TREATMENT FOR CONCUSSION OR INTERNAL INJURIES REQUIRED'
const IN_PATIENT = 'DID INJURIES RESULT IN DETENTION IN OUTSIDE HOSPITAL AS AN IN-PATIENT'

/**
 * As INC0020 has it. That definition has one more rule for ASSAULT_5: the assailant is known to have a disease that
 * saliva transmits, and saliva hit the victim. It asks both of one answer, which belongs to one question, so no report
 * of that definition ever counted for it; to count here what is counted there it stays out (report_gaps says so).
 */
const SERIOUS: Readonly<Record<string, readonly (readonly [question: string, ...answers: string[]])[]>> = {
  ASSAULT_5: [
    [INJURY, 'YES'],
    [SEXUAL, 'YES'],
    [INTERNAL, 'YES'],
    ['TYPE OF HOSPITAL ADMISSION', 'INPATIENT (OVERNIGHT ONLY)', 'INPATIENT (OVER 24HR)', 'LIFE SUPPORT'],
    ['WHERE DID IT HIT', 'NECK OR ABOVE'],
    ['DESCRIBE THE WEAPONS USED', 'EXCRETA/URINE'],
  ],
  ASSAULT_1: [
    [INJURY, 'YES'],
    [SEXUAL, 'YES'],
    [IN_PATIENT, 'YES'],
    [INTERNAL, 'YES'],
    [
      'WHICH SERIOUS INJURIES WERE SUSTAINED',
      'BITES',
      'BLACK EYE',
      'BROKEN NOSE',
      'BROKEN TEETH',
      'CRUSHING',
      'EXTENSIVE/MULTIPLE BRUISING',
      'EXTENSIVE OR MULTIPLE BRUISING',
      'FRACTURE',
      'SCALD OR BURN',
      'STABBING',
      'TEMPORARY/PERMANENT BLINDNESS',
    ],
  ],
}

export const REPORT_RULES: readonly ReportRule[] = [
  ...coded('assault_subtype', '61287', [213115, 213116, 213117, 213118], SUBTYPES),
  ...coded('assault_subtype', '44367', [179730, 179732, 179733, 179731], SUBTYPES),
  ...coded('assault_subtype', '61254', [212909, 212910, 212911, 212912], SUBTYPES),
  ...coded('staff_assaulted', '61288', [213120]),
  ...coded('staff_assaulted', '61255', [212914]),
  ...coded('find_category', '67187', from(218783, FIND_CATEGORIES.length), FIND_CATEGORIES),
  ...coded('find_category', '65187', from(216784, FIND_CATEGORIES.length), FIND_CATEGORIES),
  ...earlierFinds('Drug / drug equipment', { 49265: 195011, 51234: 198731, 51188: 196731, 57288: 209156 }),
  ...earlierFinds('Mobile phone / mobile related item', { 49274: 195045, 51242: 198783, 51196: 196783, 57296: 209208 }),
  ...earlierFinds('Alcohol / hooch / distilling equipment', {
    49289: 195084,
    51255: 198874,
    51209: 196875,
    57309: 209297,
  }),
  // between the first drug and the second an id is left out
  ...coded('drug', '67190', [218802, ...from(218804, 19)], DRUGS),
  ...coded('drug', '67208', from(218966, 20), DRUGS),
  ...SELF_HARM_METHODS.map(([category, question]) =>
    told('self_harm_method', 'SELF_HARM_1', question, 'YES', category),
  ),
  ...Object.entries(SERIOUS).flatMap(([type, questions]) =>
    questions.flatMap(([question, ...answers]) => answers.map((answer) => told('serious', type, question, answer))),
  ),
  ...['ASSAULT_5', 'ASSAULT_1'].map((type) => told('sexual', type, SEXUAL, 'YES')),
]

function coded(
  rule: string,
  question: string,
  answers: readonly number[],
  categories: readonly string[] = [],
): ReportRule[] {
  return answers.map((answer, i) => ({
    rule,
    category: categories[i] ?? null,
    type: null,
    by: 'code',
    question,
    answer: String(answer),
  }))
}

function earlierFinds(category: string, answers: Readonly<Record<string, number>>): ReportRule[] {
  return Object.entries(answers).flatMap(([question, answer]) =>
    coded('find_category_earlier', question, [answer], [category]),
  )
}

function told(
  rule: string,
  type: string,
  question: string,
  answer: string,
  category: string | null = null,
): ReportRule {
  return { rule, category, type, by: 'text', question, answer }
}

function from(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}
