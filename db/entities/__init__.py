"""The vocabulary: one frozen dataclass a noun, one StrEnum a closed set (docs/vocabulary.md).

Types here know nothing of SQL, files or pages. Ids that are text are hashes of content or random bits;
ids that are whole numbers are row numbers and give the order of arrival.
"""
