package Ticket::Operator;

# An operator of a worker under test: asks /v1/admin with the token, a new
# Idempotency-Key for each POST, and makes halls the way operators do.

use strict;
use warnings;

use Ticket::Http qw(http);
use Ticket::MariaDB ();

my $keys = 0;

# A token in a file, to be named in a worker's configuration as
# admin_token_file.  Options: dir (an existing directory).
sub new {
    my ($class, %args) = @_;
    my $self = bless {
        file  => "$args{dir}/admin.token",
        token => join('', map { sprintf '%02x', rand 256 } 1 .. 32),
    }, $class;
    Ticket::MariaDB::write_secret($self->{file}, "$self->{token}\n");
    return $self;
}

sub file  { return $_[0]{file} }
sub token { return $_[0]{token} }

# Whom to ask.
sub of {
    my ($self, $worker) = @_;
    $self->{worker} = $worker;
    return $self;
}

# A request for Ticket::Http.  A body that is a text is CSV.  Further headers
# replace those that there would be; undefined ones are left out.
sub request {
    my ($self, $method, $path, $body, %headers) = @_;
    my %all = (
        Authorization => "Bearer $self->{token}",
        ($method eq 'POST' ? ('Idempotency-Key' => qq{"operator-$$-@{[++$keys]}"}) : ()),
        (defined $body && !ref $body ? ('Content-Type' => 'text/csv') : ()),
        %headers,
    );
    return [$method, "/v1/admin/$path", \%all, $body];
}

sub ask {
    my ($self, @request) = @_;
    return http($self->{worker}->target, $self->request(@request));
}

# The map of a venue of its own, with the CSV in it; dies when that fails.
sub make_map {
    my ($self, $csv) = @_;
    my $venue = $self->_must(POST => 'venues', {name => 'Opera'})->{venue};
    my $map = $self->_must(POST => 'maps', {venue => $venue, name => 'Stalls'})->{map};
    $self->_must(POST => "maps/$map/seats", $csv, 'If-Match' => '"v1"') if defined $csv;
    return $map;
}

# A performance of that map; returns its number.
sub make_performance {
    my ($self, $map, %more) = @_;
    return $self->_must(POST => 'performances',
                        {map => $map, name => 'Tosca', room => 'hall', %more})->{performance};
}

sub _must {
    my ($self, @request) = @_;
    my $answer = $self->ask(@request);
    $answer->{status} =~ /^20[01]$/ or die "$request[0] $request[1]: $answer->{status} $answer->{body}\n";
    return $answer->{json};
}

1;
