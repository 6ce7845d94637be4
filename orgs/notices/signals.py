"""What `orgs.notices` announces to the apps above it."""

from django.dispatch import Signal

mail_composed = Signal()
"""A mail with an attachment is about to be sent. Arguments: notice (Notice), message (EmailMultiAlternatives).

A receiver that knows `notice.attachment` attaches its files to the message. Sent outside any transaction; one that fails
leaves the mail to the next attempt.
"""
