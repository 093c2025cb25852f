// Threshold and filters applied to an answer at hand, so that the page reacts at once.

/** Whether a match has one of the values of every key, `except` left out. */
export function passes(match, filters, except = null) {
  return Object.entries(filters).every(
    ([key, values]) => key === except || !values.length || values.includes(match.attributes[key]),
  );
}

export function narrowed(matches, filters, threshold) {
  return matches.filter((match) => match.similarity_score >= threshold && passes(match, filters));
}

/**
 * Count the values of each key over the matches that pass the other keys' filters, so that a
 * count says what choosing the value would give.
 */
export function countFacets(matches, filters, threshold) {
  const facets = {};
  const near = matches.filter((match) => match.similarity_score >= threshold);
  for (const key of new Set(near.flatMap((match) => Object.keys(match.attributes)))) {
    const counts = new Map();
    for (const match of near) {
      const value = match.attributes[key];
      if (value === undefined) continue;
      counts.set(value, (counts.get(value) ?? 0) + (passes(match, filters, key) ? 1 : 0));
    }
    facets[key] = [...counts].map(([value, count]) => ({ value, count }));
  }
  return facets;
}

/** Whether a key is one that people filter by: its values repeat, and are no prices or names. */
export function isUseful(key, values) {
  if (values.length < 2 || /^(name|title|description|price|sku|url)$/i.test(key)) return false;
  return values.some(({ count }) => count > 1) || values.length <= 12;
}
