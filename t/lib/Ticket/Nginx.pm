package Ticket::Nginx;

# A private nginx node: its own configuration, sockets and logs in the test's
# directory, with the module loaded.  Several nodes of one test share one
# Redis and one key file.  Anything of level alert, crit or emerg in error.log
# is a problem the test fails for, unless the test caused it (kill_worker9) or
# expected it (expect_log).

use strict;
use warnings;

use parent 'Ticket::Service';
use Fcntl ();
use Ticket::Http;
use Ticket::Test ();
use Time::HiRes ();

# Options: http (text of the http block) and main (text before it), in which
# %%SOCK%% is the node's socket, %%DIR%% its directory, %%REDIS%% the path of
# Redis's socket and %%KEYS%% a generated key file; name (default nginx),
# workers (default 2), redis (a Ticket::Redis), module (a path, or "none" for
# nginx alone), level (of error.log, default info), stop_signal (default QUIT,
# which also finds connections left open).  The node is started at once,
# unless start => 0.
sub new {
    my ($class, %args) = @_;
    my $name = $args{name} // 'nginx';
    my $dir  = Ticket::Test::temp_dir();
    my $self = $class->create(
        workers => 2, main => '', http => '', level => 'info', stop_signal => 'QUIT',
        module => $ENV{TICKET_MODULE} // default_module(), %args,
        name => $name, dir => $dir, socket => "$dir/$name.sock", log => "$dir/$name.error.log",
        expected => [], env => _environment(),
    );
    $self->configure;
    $self->start if $args{start} // 1;
    return $self;
}

sub default_module {
    return Ticket::Test::root_dir() . '/.build/module/ngx_http_ticket_module.so';
}

sub binary { return $ENV{TICKET_NGINX} // 'nginx' }

sub socket { return $_[0]{socket} }

# The node's address, for Ticket::Http.
sub target { return "unix:$_[0]{socket}" }

# Requests to this node, as the functions of Ticket::Http.
sub http      { my $self = shift; return Ticket::Http::http($self->target, @_) }
sub http_many { my $self = shift; return Ticket::Http::http_many($self->target, @_) }

# Writes the node's configuration; new texts replace the former ones, for a
# reload.
sub configure {
    my ($self, %args) = @_;
    @{$self}{keys %args} = values %args;
    my $conf = $self->_write_conf($self->{name}, $self->{main}, $self->{http});
    $self->{command} = _command($conf);
    return $self;
}

sub start {
    my ($self) = @_;
    my @sockets = $self->_sockets;
    unlink @sockets;
    $self->spawn;
    return $self->await(sub {
        $self->worker_pids == $self->{workers} && !grep { !Ticket::Service::accepts($_) } @sockets;
    }, 15, 'listening sockets and workers');
}

# Lets the node read its configuration again: waits until the new workers run,
# then up to the given seconds (default 10) for the old ones to go.  Returns
# the pids of old workers still there.  Dies when nginx refuses.
sub reload {
    my ($self, $seconds) = @_;
    my %old = map { $_ => 1 } $self->worker_pids;
    my $mark = length $self->log_text;
    kill 'HUP', $self->{pid};
    $self->await(sub {
        my $since = substr $self->log_text, $mark;
        die "$self->{name}: reload refused: $1\n" if $since =~ /(\[emerg\].*)/;
        $self->{workers} == grep { !$old{$_} } $self->worker_pids;
    }, 15, 'new workers');
    my $deadline = Time::HiRes::time() + ($seconds // 10);
    while (my @left = grep { $old{$_} } $self->_children) {
        return @left if Time::HiRes::time() > $deadline;
        Time::HiRes::sleep(0.01);
    }
    return;
}

# nginx -t over another http block (and main text): exit status and stderr.
sub test_conf {
    my ($self, $http, $main) = @_;
    my $conf = $self->_write_conf("$self->{name}.test", $main // '', $http);
    local %ENV = (%ENV, %{$self->{env}});
    my ($status, undef, $err) = Ticket::Test::run(@{_command($conf)}, '-t');
    return ($status, $err);
}

# Processes that serve; those shutting down are not among them.
sub worker_pids {
    my ($self) = @_;
    my @pids = grep {
        Ticket::Service::slurp("/proc/$_/cmdline") =~ /^nginx: worker process\0*$/
    } $self->_children;
    return @pids;
}

# Kills one worker with -9 (the first, unless named) and waits for its
# replacement; the alert about it is expected.
sub kill_worker9 {
    my ($self, $pid) = @_;
    my @before = $self->worker_pids;
    $pid //= $before[0];
    $self->expect_log(qr/worker process $pid exited on signal 9/);
    $self->expect_log(qr/was locked by $pid\b/);
    kill 'KILL', $pid;
    $self->await(sub {
        my @now = $self->worker_pids;
        @now == $self->{workers} && !grep { $_ == $pid } @now;
    }, 10, "replacement of worker $pid");
    return $pid;
}

# Lines of error.log that match are no problem.
sub expect_log {
    my ($self, @patterns) = @_;
    push @{$self->{expected}}, @patterns;
    return;
}

sub error_log { return $_[0]->log_text }

sub findings {
    my ($self) = @_;
    my @alerts = grep { /\[(?:alert|crit|emerg)\]/ } split /\n/, $self->log_text;
    for my $pattern (@{$self->{expected}}) {
        @alerts = grep { $_ !~ $pattern } @alerts;
    }
    return @alerts, $self->SUPER::findings;
}

# A key file of one random key in the test's directory, made when first asked
# for; the same for all nodes.
sub keys_file {
    my $path = Ticket::Test::temp_dir() . '/ticket.keys';
    return $path if -e $path;
    open my $random, '<:raw', '/dev/urandom' or die "/dev/urandom: $!\n";
    read $random, my $secret, 32;
    sysopen my $fh, $path, Fcntl::O_WRONLY() | Fcntl::O_CREAT() | Fcntl::O_EXCL(), 0600
        or die "$path: $!\n";
    print {$fh} '1 ', unpack('H*', $secret), "\n";
    close $fh or die "$path: $!\n";
    return $path;
}

sub _write_conf {
    my ($self, $name, $main, $http) = @_;
    my $base = "$self->{dir}/$name";
    my $head = "daemon off;\nworker_processes $self->{workers};\npid $base.pid;\n"
        . "error_log $base.error.log $self->{level};\n";
    $head .= "user root;\n" if $> == 0;
    $head = "load_module $self->{module};\n$head" if $self->{module} !~ /^(?:none|static)$/;
    $head .= join '', map { "env $_;\n" } sort keys %{$self->{env}};
    my $temp = join '', map { "    ${_}_temp_path $base.$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);
    my $text = "$head$main\nevents { worker_connections 4096; }\n"
        . "http {\n    access_log off;\n$temp$http\n}\n";
    my $redis = $self->{redis};
    my %value = (SOCK => "$base.sock", DIR => $self->{dir}, REDIS => $redis ? $redis->socket : undef);
    $value{KEYS} = keys_file() if $text =~ /%%KEYS%%/;
    $text =~ s{%%([A-Z]+)%%}{$value{$1} // die "no value for %%$1%% in $name\n"}ge;
    open my $fh, '>', "$base.conf" or die "$base.conf: $!\n";
    print {$fh} $text;
    close $fh or die "$base.conf: $!\n";
    return "$base.conf";
}

sub _command {
    my ($conf) = @_;
    (my $log = $conf) =~ s/\.conf$/.error.log/;
    return [binary(), '-p', Ticket::Test::temp_dir(), '-e', $log, '-c', $conf];
}

# Unix sockets the configuration listens on.
sub _sockets {
    my ($self) = @_;
    my $text = Ticket::Service::slurp("$self->{dir}/$self->{name}.conf");
    return $text =~ /\blisten\s+unix:([^\s;]+)/g;
}

# What a module built with sanitizers needs when nginx itself is not.
sub _environment {
    return {} if !$ENV{TICKET_SANITIZE};
    return {} if ($ENV{TICKET_MODULE} // '') eq 'static';
    chomp(my $library = `gcc -print-file-name=libasan.so`);
    return {
        LD_PRELOAD    => $library,
        ASAN_OPTIONS  => 'detect_leaks=0',
        UBSAN_OPTIONS => 'print_stacktrace=1',
    };
}

sub _children {
    my ($self) = @_;
    return if !$self->{pid};
    return split ' ', Ticket::Service::slurp("/proc/$self->{pid}/task/$self->{pid}/children");
}

1;
