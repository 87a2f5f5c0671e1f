"""The Batch program of Truthloop: trains, evaluates, scores, selects and finalises one campaign's rounds."""
