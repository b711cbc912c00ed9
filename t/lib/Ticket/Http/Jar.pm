package Ticket::Http::Jar;

# The cookies of one visitor, by name.  Knows Max-Age=0 (and less) as removal;
# domains, paths and later expiry do not matter to these tests.

use strict;
use warnings;

sub new { return bless {cookies => {}, attributes => {}}, $_[0] }

# Takes over the Set-Cookie headers of a response.
sub take {
    my ($self, $response) = @_;
    for my $line (@{$response->{set_cookie}}) {
        my ($pair, @attributes) = split /\s*;\s*/, $line;
        my ($name, $value) = split /=/, $pair, 2;
        my %attribute = map { lc($_->[0]) => $_->[1] // 1 }
            map { [split /=/, $_, 2] } @attributes;
        if (defined $attribute{'max-age'} && $attribute{'max-age'} <= 0) {
            $self->remove($name);
            next;
        }
        $self->set($name, $value);
        $self->{attributes}{$name} = \%attribute;
    }
    return $self;
}

# The Cookie header's value, undef when there is no cookie.
sub header {
    my ($self) = @_;
    my $cookies = $self->{cookies};
    return if !%$cookies;
    return join '; ', map { "$_=$cookies->{$_}" } sort keys %$cookies;
}

sub get    { return $_[0]{cookies}{$_[1]} }
sub names  { return sort keys %{$_[0]{cookies}} }
sub set    { $_[0]{cookies}{$_[1]} = $_[2]; return $_[0] }
sub remove { delete $_[0]{$_}{$_[1]} for qw(cookies attributes); return $_[0] }

# The attributes a cookie was set with: lowercased name to value (1 if none).
sub attributes { return $_[0]{attributes}{$_[1]} }

1;
