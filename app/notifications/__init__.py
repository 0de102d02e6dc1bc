"""Notifications of members, in their account and by e-mail.

Credits received are notified where a member, the community or a reversal sends them. A payout and a refund are not:
the order's notification covers them. Nor is a withdrawal, which is for the treasurer to explain, or a job that its
owner has cancelled. Of an order that completes by itself both sides are notified, else who has not taken the step.

`updated_at` changes with each change, and the entity tag with it. `message` is made when it is read, so that the name
of a person who is erased is gone from it; `data` holds what the event was about.
"""
